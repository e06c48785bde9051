//! A release's functions at work, real ones of our own making, in the real jail.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::*;

/// The input of every test.
fn wish<'a>(conf: &'a [u8], functions: &'a Functions) -> Wish<'a> {
    Wish {
        conf,
        functions: Some(functions),
        compose: "native",
        project: "mail",
        volumes: &[],
        ipv6: true,
        limit: Duration::from_secs(20),
    }
}

fn functions(text: &str) -> Functions {
    let read =
        |name: &str| Ok((name == mailcow::OPTION_MODULES[0]).then(|| text.as_bytes().to_vec()));
    Functions::of_release(read).unwrap().unwrap()
}

async fn migrated(conf: &str, functions: &Functions) -> Migrated {
    let folder = tempfile::tempdir().unwrap();
    migrate(&wish(conf.as_bytes(), functions), &folder.path().join("scratch"), |_| Ok(None))
        .await
        .unwrap()
}

fn names(migrated: &Migrated) -> Vec<(&str, Kind)> {
    migrated.changes.iter().map(|change| (change.name.as_str(), change.change)).collect()
}

#[tokio::test]
async fn upstream_s_functions_change_the_copy_and_can_reach_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let functions = functions(&format!(
        "adapt_new_options() {{\n  grep -q ^REDISPASS= mailcow.conf || echo REDISPASS=secret >> mailcow.conf\n  \
         sed -i '/^SOLR_HEAP=/d' mailcow.conf\n  \
         touch /etc/cowhand-was-here /tmp/cowhand-was-here /dev/shm/cowhand-was-here 2>/dev/null\n  \
         (echo GET / >/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached >reached\n  \
         (echo x >/dev/udp/192.0.2.1/53) 2>/dev/null && echo reached >reached\n  \
         command -v curl >/dev/null && curl -s -m 5 http://127.0.0.1:{port}/ >reached\n  \
         [[ -s reached ]] && echo reached >>asked; id -u >>asked; grep -c : /proc/net/dev >>asked\n  \
         echo $(ls -A /run /tmp /sys /dev) >>asked; env | grep -c SECRET >>asked; true\n}}\n"
    ));
    let scratch = folder.path().join("scratch");
    let before = b"MAILCOW_HOSTNAME=mail.example.org\nSOLR_HEAP=1\n# kept\n";
    let migrated = migrate(&wish(before, &functions), &scratch, |_| Ok(None)).await.unwrap();
    let conf = String::from_utf8(migrated.conf.clone()).unwrap();
    assert_eq!(conf, "MAILCOW_HOSTNAME=mail.example.org\n# kept\nREDISPASS=secret\n");
    assert_eq!(names(&migrated), [("REDISPASS", Kind::Added), ("SOLR_HEAP", Kind::Removed)]);
    assert_eq!(
        (&migrated.changes[0].is, &migrated.changes[1].was),
        (&None, &Some("1".to_owned())),
        "no secret is shown"
    );
    for folder in ["/etc", "/tmp", "/dev/shm"] {
        assert!(!Path::new(folder).join("cowhand-was-here").exists(), "{folder}");
    }
    let inside = "/dev: fd full null random urandom zero /run: dev mount /sys: /tmp:".to_owned();
    assert_eq!(migrated.left_out, ["2147418112", "1", &inside, "0"]);
    assert!(listener.accept().is_err(), "somebody came through");
}

#[tokio::test]
async fn what_does_not_end_is_ended() {
    let endless =
        functions("adapt_new_options() {\n  command sleep 61234567 &\n  while :; do :; done\n}\n");
    let folder = tempfile::tempdir().unwrap();
    let conf = b"MAILCOW_HOSTNAME=a.b.c\n";
    let wish = Wish { limit: Duration::from_secs(1), ..wish(conf, &endless) };
    let since = Instant::now();
    let error = migrate(&wish, &folder.path().join("s"), |_| Ok(None)).await.unwrap_err();
    assert!(error.summary().contains("did not end within 1 s"), "{error}");
    assert!(since.elapsed() < Duration::from_secs(10));
    while runs("61234567") {
        assert!(since.elapsed() < Duration::from_secs(30), "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns true if a process has this word in its command line.
fn runs(word: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.map(|process| fs::read(process.path().join("cmdline")));
    lines.flatten().any(|line| line.split(|byte| *byte == 0).any(|part| part == word.as_bytes()))
}

#[tokio::test]
async fn nothing_that_they_leave_is_followed_waited_for_or_taken_whole() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "only root may read this\n").unwrap();
    let leave = |what: &str, name: &str| {
        functions(&format!("adapt_new_options() {{\n  rm -f {name}; {what} {name}\n}}\n"))
    };
    let conf = "MAILCOW_HOSTNAME=a.b.c\n";
    let link = format!("ln -s {}", secret.display());
    for what in [link.as_str(), "mkfifo", "mkdir", "ln -s /dev/zero", "ln -s asked"] {
        assert_eq!(migrated(conf, &leave(what, "asked")).await.left_out, [""; 0], "{what}");
    }
    for what in [link.as_str(), "mkfifo", "ln -s /dev/zero", "truncate -s 2M"] {
        let (folder, left) = (tempfile::tempdir().unwrap(), leave(what, "mailcow.conf"));
        let wish = wish(conf.as_bytes(), &left);
        let error = migrate(&wish, &folder.path().join("s"), |_| Ok(None)).await.unwrap_err();
        assert!(!format!("{error:?}").contains("only root"), "{error:?}");
    }
}

#[tokio::test]
async fn they_have_no_terminal() {
    let reach = functions(
        "adapt_new_options() {\n  (exec 9<>/dev/tty) 2>/dev/null && echo tty >>asked; \
         ps -o tty= -p $$ >>asked; ls /dev/pts >>asked 2>/dev/null; true\n}\n",
    );
    let left_out = migrated("MAILCOW_HOSTNAME=a.b.c\n", &reach).await.left_out;
    assert_eq!(left_out, ["?"]);
}

#[tokio::test]
async fn their_processes_memory_files_and_output_have_limits() {
    let greedy = functions(
        "adapt_new_options() {\n  \
         for i in $(seq 200); do command sleep 5 & done 2>/dev/null; \
         (head -c 300000000 /dev/zero | tail -c 300000000 >/dev/null) 2>/dev/null \
         && echo memory >>asked; \
         (head -c 20000000 /dev/zero >large) 2>/dev/null && echo file >>asked; \
         (for i in 1 2 3 4; do head -c 15000000 /dev/zero >f$i || exit 1; done) 2>/dev/null \
         && echo disk >>asked; yes | head -c 100000000; echo end >>asked\n}\n",
    );
    let folder = tempfile::tempdir().unwrap();
    let conf = b"MAILCOW_HOSTNAME=a.b.c\n";
    // If no process can be created, the functions fail, which is reported too.
    match migrate(&wish(conf, &greedy), &folder.path().join("s"), |_| Ok(None)).await {
        Ok(migrated) => assert_eq!(migrated.left_out, ["end"]),
        Err(error) => assert!(error.summary().contains("functions"), "{error:?}"),
    }
}

#[tokio::test]
async fn a_migration_that_empties_the_file_is_refused() {
    let broken = functions("adapt_new_options() {\n  : > mailcow.conf\n}\n");
    let folder = tempfile::tempdir().unwrap();
    assert!(
        migrate(&wish(b"MAILCOW_HOSTNAME=a.b.c\n", &broken), &folder.path().join("s"), |_| Ok(
            None
        ))
        .await
        .is_err()
    );
}

#[tokio::test]
async fn what_goes_beyond_the_settings_is_left_out_and_said() {
    let functions = functions(
        "migrate_config_options() {\n  sed -i '/SOLR_HEAP\\b/d' mailcow.conf\n  \
         volume=$(docker volume ls -qf name=^${COMPOSE_PROJECT_NAME}_solr-vol-1)\n  \
         [[ -n $volume ]] && docker volume rm $volume\n  \
         rm -f ${SCRIPT_DIR}/data/conf/old.conf; cat data/conf/read.conf >/dev/null\n}\n",
    );
    let conf =
        b"MAILCOW_HOSTNAME=a.b.c\nMY_SOLR_HEAP=7 # own\nSOLR_HEAP=1\nCOMPOSE_PROJECT_NAME=mail\n";
    let volumes = ["mail_vmail-vol-1".to_owned(), "mail_solr-vol-1".to_owned()];
    let folder = tempfile::tempdir().unwrap();
    let wish = Wish { volumes: &volumes, ..wish(conf, &functions) };
    let migrated =
        migrate(&wish, &folder.path().join("s"), |_| Ok(Some(b"x".to_vec()))).await.unwrap();
    assert_eq!(names(&migrated), [("SOLR_HEAP", Kind::Removed)]);
    assert!(String::from_utf8_lossy(&migrated.conf).ends_with("\nMY_SOLR_HEAP=7 # own\n"));
    let [file, volume, option] = migrated.left_out.as_slice() else {
        panic!("{:?}", migrated.left_out)
    };
    assert_eq!(
        (file.as_str(), volume.as_str()),
        ("remove data/conf/old.conf", "docker volume rm mail_solr-vol-1")
    );
    assert!(option.contains("MY_SOLR_HEAP"), "{option}");
}

#[tokio::test]
async fn compose_s_kind_is_written_back_and_a_new_ipv6_option_says_what_is() {
    let functions = functions(
        "adapt_new_options() {\n  grep -q ^ENABLE_IPV6= mailcow.conf || echo ENABLE_IPV6=${IPV6_BOOL} >> mailcow.conf\n}\n",
    );
    let conf = "MAILCOW_HOSTNAME=a.b.c\nDOCKER_COMPOSE_VERSION=standalone\n";
    let migrated = migrated(conf, &functions).await;
    let conf = "MAILCOW_HOSTNAME=a.b.c\nDOCKER_COMPOSE_VERSION=native\nENABLE_IPV6=true\n";
    assert_eq!(String::from_utf8_lossy(&migrated.conf), conf);
    assert_eq!(
        names(&migrated),
        [("DOCKER_COMPOSE_VERSION", Kind::Changed), ("ENABLE_IPV6", Kind::Added)]
    );
}

#[tokio::test]
async fn the_misspelt_project_name_is_corrected_only_where_it_names_the_project() {
    let nothing = functions("adapt_new_options() {\n  :\n}\n");
    let right = migrated("MAILCOW_HOSTNAME=a.b.c\nCOMPOSEPROJECT_NAME=mail\n", &nothing).await;
    assert_eq!(
        String::from_utf8_lossy(&right.conf),
        "MAILCOW_HOSTNAME=a.b.c\nCOMPOSE_PROJECT_NAME=mail\n"
    );
    let wrong = migrated("MAILCOW_HOSTNAME=a.b.c\nCOMPOSEPROJECT_NAME=other\n", &nothing).await;
    assert!(wrong.changes.is_empty() && wrong.left_out.len() == 1, "{wrong:?}");
}
