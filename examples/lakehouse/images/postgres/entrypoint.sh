#!/bin/sh
# Makes the database cluster on the first start, then runs the command as the
# user postgres.
#
#   POSTGRES_PASSWORD     the superuser's password; needed on the first start
#   POSTGRES_USER         the superuser's name (default: postgres)
#   POSTGRES_DB           a database to make (default: the user's name)
#   POSTGRES_INITDB_ARGS  more arguments for initdb
#
# Each of the first three may be given as NAME_FILE, the path of a file that
# holds the value. *.sql and *.sh in /docker-entrypoint-initdb.d run once, in
# order, when the cluster is made.
set -eu

from_file() { # from_file NAME: set NAME from the file that NAME_FILE names
  eval "path=\${$1_FILE:-}"
  [ -n "$path" ] || return 0
  export "$1=$(cat "$path")"
  unset "$1_FILE"
}

first=
[ "$1" != postgres ] || [ -s "$PGDATA/PG_VERSION" ] || first=yes
if [ -n "$first" ]; then
  from_file POSTGRES_USER
  from_file POSTGRES_PASSWORD
  from_file POSTGRES_DB
fi

# The files above may be readable for root only; all else is done as postgres.
if [ "$(id -u)" = 0 ]; then
  install -d -o postgres -g postgres -m 700 "$PGDATA"
  install -d -o postgres -g postgres /var/run/postgresql
  find "$PGDATA" ! -user postgres -exec chown postgres:postgres {} +
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

run_init_scripts() { # run_init_scripts USER DATABASE
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sql) psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$1" --dbname="$2" --file="$script" ;;
      *.sh) sh -eu "$script" ;;
    esac
  done
}

make_cluster() { # make_cluster DIRECTORY
  : "${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE}"
  export POSTGRES_USER="${POSTGRES_USER:-postgres}"
  export POSTGRES_DB="${POSTGRES_DB:-$POSTGRES_USER}"

  password=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" > "$password"
  # shellcheck disable=SC2086 # the arguments are meant to be split
  initdb --pgdata="$1" --username="$POSTGRES_USER" --pwfile="$password" --encoding=UTF8 --data-checksums \
    --auth-local=trust --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
  rm -f "$password"
  echo 'host all all all scram-sha-256' >> "$1/pg_hba.conf"

  # On the Unix socket only: the health check asks over TCP and stays red until the real start.
  pg_ctl --pgdata="$1" --wait --options="-c listen_addresses=''" start
  psql --no-psqlrc --tuples-only --no-align --username="$POSTGRES_USER" --dbname=postgres \
    --set=db="$POSTGRES_DB" <<'SQL'
SELECT format('CREATE DATABASE %I', :'db') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'db') \gexec
SQL
  run_init_scripts "$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl --pgdata="$1" --wait --mode=fast stop
}

# The cluster is made beside its final place and moved there when it is whole,
# PG_VERSION last: a start that was cut off begins again, or ends the move.
first_start() {
  new=$PGDATA/.new
  if [ ! -e "$PGDATA/.new.whole" ]; then
    rm -rf "$new"
    make_cluster "$new"
    touch "$PGDATA/.new.whole"
  fi
  find "$new" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
  mv "$new/PG_VERSION" "$PGDATA"
  rm -rf "$new" "$PGDATA/.new.whole"
}

[ -z "$first" ] || first_start
if [ "$1" = postgres ]; then
  unset POSTGRES_PASSWORD
  shift
  set -- postgres -c listen_addresses='*' "$@"
fi
exec "$@"
