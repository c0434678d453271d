"""Superset's settings. Variables are filled in by the agent, which takes $$ for a dollar sign."""

# It signs sessions and encrypts what Superset stores, passwords of databases for one: it must
# stay the same.
SECRET_KEY = "${SUPERSET_SECRET_KEY}"
SQLALCHEMY_DATABASE_URI = "postgresql+psycopg2://superset:${SUPERSET_DB_PASSWORD}@postgres:5432/superset"
SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True, "pool_size": 5, "max_overflow": 5}

WTF_CSRF_ENABLED = True
SESSION_COOKIE_SAMESITE = "Lax"
# Nothing from elsewhere: by default pages ask for tiles of maps, fonts and a pixel that counts visitors.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}

# One server process and no Redis: what may be forgotten lives in it, the rest in the database.
RATELIMIT_STORAGE_URI = "memory://"
_forgotten = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 300}
CACHE_CONFIG = _forgotten
DATA_CACHE_CONFIG = _forgotten
_kept = {"CACHE_TYPE": "SupersetMetastoreCache", "CACHE_DEFAULT_TIMEOUT": 86400}
FILTER_STATE_CACHE_CONFIG = _kept
EXPLORE_FORM_DATA_CACHE_CONFIG = _kept
SUPERSET_LOAD_EXAMPLES = False
