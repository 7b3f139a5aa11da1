-- The comment after a table or column is its COMMENT in the database (see db/ddl.py).

create table core.sign_in_attempts ( -- How many wrong passwords were tried lately, for all processes of the back office. Rows go when their time is over.
    budget text collate "C" not null, -- What is counted: visitor_minute and visitor_hour (one name from one address), address, name, browser_minute and browser_hour (one name from a browser in which it signed in before).
    counted bytea not null, -- Keyed hash of the name, the address or the browser; what was typed cannot be read from it.
    attempts integer not null, -- Passwords tried since the count began; a right one is taken out again.
    ends_at timestamptz not null, -- When the count begins anew.
    primary key (budget, counted)
);
create index on core.sign_in_attempts (ends_at);
