"""Brings Superset's database to this version, makes the admin and the roles, and what else the environment
names. It can run again at any time.

All in one process: to load Superset takes longer than what any of its commands does here."""
import os

from flask.cli import ScriptInfo
from superset.app import create_app
from superset.cli.main import superset as program

app = create_app()


def superset(*words):
    """Does what the program of this name does when it is called so."""
    program.main(words, prog_name="superset", standalone_mode=False, obj=ScriptInfo(create_app=lambda: app))


def user(name, password, surname, *create):
    """Makes one, or says that it is there already; its password is set then."""
    superset("fab", *create, "--username", name, "--firstname", name, "--lastname", surname,
             "--email", f"{name}@localhost.localdomain", "--password", password)
    superset("fab", "reset-password", "--username", name, "--password", password)


superset("db", "upgrade")
with app.app_context():  # which had no tables yet when it was made
    app.sync_config_to_db()
user(os.environ["ADMIN_USER"], os.environ["ADMIN_PASSWORD"], "Admin", "create-admin")
superset("init")
if reader := os.environ.get("READER_USER"):
    user(reader, os.environ["READER_PASSWORD"], "Reader", "create-user", "--role", "Gamma")
if uri := os.environ.get("SUPERSET_TRINO_URI"):
    superset("set-database-uri", "--database_name", "Trino", "--uri", uri)
