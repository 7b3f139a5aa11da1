"""Signing in and out, as people meet it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from kombo_pipeline_tests.backoffice.conftest import PASSWORD, Backoffice, assert_accessible


def test_who_is_not_signed_in_is_sent_to_the_sign_in_page_and_back(backoffice: Backoffice) -> None:
    client = backoffice.new_client()
    answer = client.get("/?customer=a%20b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F%3Fcustomer%3Da%2520b")
    form = client.get(answer.headers["location"])
    assert 'name="next" value="/?customer=a%20b"' in form.text
    answer = client.submit("/login", name="viewer", password=PASSWORD, next="/?customer=a%20b")
    assert answer.headers["location"] == "/?customer=a%20b"
    assert client.get("/").headers["location"] == "/review"


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_sign_in_page_is_accessible(page_as: Callable[..., Page], color_scheme: str) -> None:
    page = page_as(color_scheme=color_scheme)
    page.goto("/login")
    assert_accessible(page)
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    assert_accessible(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/review")
    assert_accessible(page)
