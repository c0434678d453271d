# Has delta-rs say what a vacuum of a table would remove, or remove it, and writes the names of these files to OUT, one a line.
# The keys of a store are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
# usage: vacuum.py full|lite|remove TABLE OUT [ENDPOINT]
import os
import sys

from deltalake import DeltaTable

how, table, out, endpoint = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else ""
options = None
if endpoint:
    options = {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"], "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
files = DeltaTable(table, storage_options=options).vacuum(retention_hours=168, dry_run=how != "remove", enforce_retention_duration=False, full=how != "lite")
with open(out, "w") as names:
    names.writelines(f"{f}\n" for f in files)
