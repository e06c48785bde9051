<?php
function check_login($user, $pass) {
  return verify_hash(fetch_hash($user), $pass);
}
function show_login($title) {
  echo htmlspecialchars($title);
}
