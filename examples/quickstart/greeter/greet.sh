#!/bin/sh
# Reads the greeting once, as most servers read their configuration, and serves it.
set -eu
cp /etc/greeter/greeting.txt /srv/index.html
exec busybox httpd -f -p 8080 -h /srv
