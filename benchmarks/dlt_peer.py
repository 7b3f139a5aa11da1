"""dlt 1.31 with the same source into the same Postgres; runs in an environment of its own.

dlt keeps neither the pages nor a history, so it does less.
"""

import argparse
import json
import resource
import sys
import time


def load(name: str, api: str, integration_id: str, database: str) -> int:
    import dlt
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(
        {
            "client": {
                "base_url": api,
                "auth": {"type": "bearer", "token": "sandbox-key"},
                "headers": {"X-Integration-Id": integration_id},
                "paginator": {"type": "cursor", "cursor_path": "data.next", "cursor_param": "cursor"},
            },
            "resources": [
                {
                    "name": "jobs",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {
                        "path": "/ats/jobs",
                        "data_selector": "data.results",
                        "params": {"page_size": 250, "include_deleted": "true"},
                    },
                }
            ],
        },
        **({"max_table_nesting": 0} if name == "dlt_flat" else {}),
    )
    if name == "dlt_flat":
        source.max_table_nesting = 0
    pipeline = dlt.pipeline(
        pipeline_name=f"bench_{name}_{int(time.time() * 1000)}",
        destination=dlt.destinations.postgres(database),
        dataset_name="peer",
    )
    pipeline.run(source, loader_file_format="csv")
    with pipeline.sql_client() as client:
        rows = client.execute_sql("select count(*) from jobs")
    return int(rows[0][0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--contender", nargs=4)
    name, api, integration_id, database = parser.parse_args().contender
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    records = load(name, api, integration_id, database)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cpu += children.ru_utime + children.ru_stime
    scale = 1024 * 1024 if sys.platform == "darwin" else 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "peak_mb": after.ru_maxrss / scale, "result": {"records": records}}))


if __name__ == "__main__":
    main()
