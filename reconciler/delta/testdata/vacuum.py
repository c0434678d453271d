# Has delta-rs say what a vacuum of a table would remove, and judges it by the names of the files, which say what
# they are. Prints one line. usage: vacuum.py TABLE [ENDPOINT]
import sys

from deltalake import DeltaTable, __version__

table, endpoint = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
options = None
if endpoint:
    options = {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "readers-secret",
    }
files = DeltaTable(table, storage_options=options).vacuum(retention_hours=168, dry_run=True, enforce_retention_duration=False, full=True)
dead = sum("part-dead" in f for f in files)
orphans = sum("part-orphan" in f for f in files)
live = sum("part-live" in f for f in files)
vectors = sum("deletion_vector_" in f for f in files)
print(f"{__version__} lists {len(files)} files: {dead} dead, {orphans} orphans, {live} live ones, {vectors} live deletion vectors")
