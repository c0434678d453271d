# Has delta-rs say what a vacuum of a table would remove, and judges it by the names of the files, which say what
# they are. Prints one line. The keys of a store are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
# usage: vacuum.py full|lite TABLE [ENDPOINT]
import os
import sys

from deltalake import DeltaTable, __version__

how, table, endpoint = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""
options = None
if endpoint:
    options = {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"], "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
files = DeltaTable(table, storage_options=options).vacuum(retention_hours=168, dry_run=True, enforce_retention_duration=False, full=how == "full")
dead = sum("part-dead" in f for f in files)
orphans = sum("part-orphan" in f for f in files)
live = sum("part-live" in f for f in files)
vectors = sum("deletion_vector_" in f for f in files)
others = len(files) - dead - orphans - live - vectors
print(f"{__version__} lists {len(files)} files: {dead} dead, {orphans} orphans, {live} live ones, {vectors} live deletion vectors, {others} others")
