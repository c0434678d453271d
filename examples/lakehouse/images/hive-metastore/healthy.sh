#!/bin/bash
# Succeeds when the metastore on this host answers a call: getVersion, which touches no
# database. Bash can open the connection itself, so the image needs no Thrift client.
#
# On the wire: a message of Thrift's binary protocol is 80 01 00, its type (01 a call, 02 an
# answer), the length of the name and the name, a sequence number, and the arguments, here none.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/${HIVE_PORT:-9083}"
printf '\x80\x01\x00\x01\x00\x00\x00\x0agetVersion\x00\x00\x00\x00\x00' >&3
answer=$(head -c 18 <&3 | od -An -tx1 | tr -d ' \n')
[ "${answer:0:8}" = 80010002 ]
