# Writes the database to a file of its own in /backups, called after the time and the version
# of its schema. Runs as the owner of that folder.
set -eu
umask 077

ask() { psql --no-psqlrc -qtA --set=ON_ERROR_STOP=1 --command="$1"; }

if [ "$(ask "SELECT to_regclass('public.alembic_version') IS NULL")" = t ]; then
  echo "there is no database of Superset yet"
  exit 0
fi
file=/backups/superset-$(date -u +%Y%m%dT%H%M%SZ)-$(ask 'SELECT version_num FROM alembic_version').dump
pg_dump --format=custom --file="$file.part"
mv "$file.part" "$file"
echo "wrote $file, before $NEXT_IMAGE has its turn"
