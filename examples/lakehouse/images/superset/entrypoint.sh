#!/bin/sh
# entrypoint.sh init        brings the database to this version, makes the admin and the roles, a user
#                           who reads (READER_USER), and the database that SUPERSET_TRINO_URI
#                           names: a job that ends
# entrypoint.sh server      serves on port 8088
# entrypoint.sh COMMAND...  anything else, for instance superset shell
#
# Both read /etc/superset/superset_config.py; init takes ADMIN_USER and ADMIN_PASSWORD, and
# READER_PASSWORD, too.
set -eu

case $1 in
  init)
    : "${ADMIN_USER:?}" "${ADMIN_PASSWORD:?}"
    exec python3 /usr/local/bin/init.py
    ;;
  server)
    # One process, since caches and limits live in it; threads serve side by side.
    exec gunicorn --bind 0.0.0.0:8088 --workers 1 --worker-class gthread --threads 12 \
      --timeout 60 --worker-tmp-dir /dev/shm --limit-request-line 0 --access-logfile - \
      "superset.app:create_app()"
    ;;
  *) exec "$@" ;;
esac
