#!/bin/sh
cat <<CONF > /redis.conf
requirepass $REDISPASS
user quota_notify on nopass ~QW_* -@all +get +hget +ping
CONF
exec redis-server /redis.conf
