<?php
require_once 'inc/functions.inc.php';
show_login('mailcow UI');
