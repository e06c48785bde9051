#!/usr/bin/env bash
# A small update.sh of our own, to compare with: how the script ends, and what it does to a site's files. It leaves containers alone.
umask 0022
agrees() { read -r -p "$1 [y/N] " said && [[ $said == [yY] || $said == [yY][eE][sS] ]]; }
ends() { echo "$1"; exit "$2"; }
newest() { git ls-remote --quiet --exit-code "$@" origin 2>/dev/null | tail -n 1 | grep -o '^[0-9a-f]*'; }
has() { git merge-base --is-ancestor "$1" HEAD 2>/dev/null; }

check() { # WHAT TO SAY, THE COMMIT
  [[ -n $2 ]] || exit 99
  if has "$2"; then ends "No updates available." 3; else ends "$1 is available." 0; fi
}

[[ -f mailcow.conf ]] || ends "There is no mailcow.conf." 1
branch=$(git symbolic-ref --short HEAD)
while (($#)); do
  case $1 in
    -c | --check) check "Updated code" "$(git ls-remote --quiet origin "refs/heads/$branch" 2>/dev/null | cut -f 1)" ;;
    --check-tags) check "New tag" "$(newest --tags)" ;;
    -h | --help) ends "the flags" 0 ;;
    -f | --force) force=y ;;
    --ours) favor=ours ;;
    --stable) onto=master ;;
    --nightly | --legacy) onto=${1#--} ;;
  esac
  shift
done

source ./mailcow.conf
case $MAILCOW_HOSTNAME in
  *.) ends "The host name ends with a dot." 1 ;;
  *.*.*) ;;
  *.*) agrees "The host name has no subdomain. Go on?" || exit 1 ;;
  *) ends "The host name is none." 1 ;;
esac
if [[ -n $onto && $onto != "$branch" && -z $force ]]; then
  agrees "Switch to $onto?" || exit 0
fi
git fetch --quiet origin || exit 1
if [[ -z $force ]]; then
  agrees "Update?" || exit 0
  source <(git show "origin/$branch:_modules/scripts/core.sh" 2>/dev/null)
  old=$(sed -n 's/.*MAILCOW_GIT_VERSION="\(.*\)".*/\1/p' data/web/inc/app_info.inc.php 2>/dev/null)
  for major in $(majors 2>/dev/null); do
    [[ -z $old || ! $old < $major ]] || agrees "Have the notes of $major been read?" || exit 1
  done
fi

day=$(date +%Y-%m-%d_%H_%M_%S)
if ! git diff-index --quiet HEAD; then
  mkdir -p update_diffs
  git diff >"update_diffs/diff_before_update_$(date +%Y-%m-%d-%H-%M-%S)"
fi
for part in migrate_options new_options; do source <(git show "origin/$branch:_modules/scripts/$part.sh"); done
migrate_config_options
adapt_new_options

[[ -n $(git config user.name) ]] || git config user.name moo
[[ -n $(git config user.email) ]] || git config user.email moo@cow.moo
git rm --quiet --cached --ignore-unmatch data/conf/rspamd/override.d/worker-controller-password.inc
git add --update && git commit --quiet --all --message "Before update on $day"
git merge --quiet -X "${favor:-theirs}" -X patience --message "After update on $day" "origin/$branch" >/dev/null 2>&1
case $? in
  0) ;;
  1)
    git status --porcelain | sed -n 's/^\(UD\|DU\) //p' | xargs --no-run-if-empty --delimiter '\n' rm
    git add --all && git commit --quiet --message "After update on $day"
    ;;
  *) exit 1 ;;
esac

mkdir -p data/assets/ssl
cp --no-clobber --no-dereference data/assets/ssl-example/*.pem data/assets/ssl/
sed -i --follow-symlinks s/COMPOSEPROJECT_NAME/COMPOSE_PROJECT_NAME/ mailcow.conf
maps=data/conf/rspamd/custom
for list in black white; do
  [[ ! -f $maps/global_from_${list}list.map ]] || mv $maps/global_{,smtp_}from_${list}list.map
done
[[ ! -f data/conf/rspamd/local.d/metrics.conf ]] || mv data/conf/rspamd/local.d/metrics.conf{,_deprecated}

stamp() { echo "  \$MAILCOW_$1=\"$2\";"; }
{
  echo "<?php"
  stamp GIT_VERSION "$(git describe --tags "$(git rev-list --tags --max-count=1)")"
  stamp LAST_GIT_VERSION ""
  stamp GIT_OWNER mailcow
  stamp GIT_REPO mailcow-dockerized
  stamp GIT_URL https://github.com/mailcow/mailcow-dockerized
  stamp GIT_COMMIT "$(git rev-parse "origin/$branch")"
  stamp GIT_COMMIT_DATE "$(git log -1 --format=%ci "origin/$branch")"
  stamp BRANCH "$branch"
  echo "  \$MAILCOW_UPDATEDAT=$(date +%s);"
  echo "?>"
} >data/web/inc/app_info.inc.php
