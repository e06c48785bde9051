//! Tests of grants: forbidden ones, unrequested ones, and the messages of refusals.

use super::*;

struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for inner in [".git", "data/assets/ssl", "data/conf"] {
            std::fs::create_dir_all(folder.path().join(inner)).unwrap();
        }
        std::fs::write(folder.path().join("mailcow.conf"), "").unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn permissions(
        &self,
        grant: Grant,
        requests: &[(Capability, &str)],
    ) -> Result<(Permissions, Vec<String>)> {
        let request = |(capability, value): &(Capability, &str)| Request {
            capability: *capability,
            value: (*value).to_owned(),
            reason: "a test".to_owned(),
        };
        let requests: Vec<_> = requests.iter().map(request).collect();
        let spec = Spec { grant, ..Spec::bare("probe", "plugins/probe.wasm") };
        Permissions::new(&spec, &requests, &Protected::of(self.path(), &[]), true, false)
    }

    fn reading(&self, folder: &Path) -> Result<Permissions> {
        let grant = Grant { read: vec![folder.to_owned()], ..Grant::default() };
        self.permissions(grant, &[(Capability::Read, "*")]).map(|(permissions, _)| permissions)
    }
}

#[test]
fn what_is_never_given_is_never_given() {
    let site = Site::new();
    let links = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(site.path(), links.path().join("site")).unwrap();
    std::os::unix::fs::symlink(site.path().join(".git"), links.path().join("git")).unwrap();
    let above = site.path().parent().unwrap().to_owned();
    let root = PathBuf::from("/");
    let (site_link, git_link) = (links.path().join("site"), links.path().join("git"));
    for folder in
        [site.path().to_owned(), site.path().join(".git"), above, root, site_link, git_link]
    {
        let error = site.reading(&folder).unwrap_err();
        assert!(error.headline().contains("would expose"), "{}: {error}", folder.display());
        assert_eq!(error.exit_code(), Some(Exit::Usage));
    }
}

#[test]
fn a_relative_folder_is_below_the_site_and_stays_there() {
    let site = Site::new();
    let permissions = site.reading(Path::new("data/assets/ssl")).unwrap();
    assert_eq!(
        permissions.read[0].path,
        site.path().canonicalize().unwrap().join("data/assets/ssl")
    );
    assert_eq!(permissions.read[0].seen_as, "data/assets/ssl");
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), site.path().join("data/link")).unwrap();
    assert!(
        site.reading(Path::new("data/link"))
            .unwrap_err()
            .headline()
            .contains("leads out of the site")
    );
    assert!(
        site.reading(Path::new("data/../..")).unwrap_err().headline().contains("contains `..`")
    );
    assert!(
        site.reading(Path::new("data/missing"))
            .unwrap_err()
            .headline()
            .contains("cannot be opened")
    );
}

#[test]
fn what_was_not_requested_has_no_effect() {
    let site = Site::new();
    let grant = || Grant {
        http: vec!["hooks.example.org".to_owned()],
        env: vec!["HOME".to_owned()],
        install: vec!["data/assets/ssl".into()],
        ..Grant::default()
    };
    let (permissions, idle) = site.permissions(grant(), &[]).unwrap();
    assert_eq!(idle, ["install `data/assets/ssl`", "http `hooks.example.org`", "env `HOME`"]);
    assert!(
        permissions.http.is_empty() && permissions.env.is_empty() && permissions.install.is_empty()
    );
    let narrower = [(Capability::Install, "data/assets/ssl/sub"), (Capability::Env, "HOME")];
    let (permissions, _) = site.permissions(grant(), &narrower).unwrap();
    assert_eq!(permissions.install, [SitePath::from("data/assets/ssl/sub")]);
    assert!(permissions.authorize(&Wish::Env("HOME")).is_ok());
    assert!(permissions.authorize(&Wish::Env("PATH")).is_err());
}

#[test]
fn a_refusal_says_which_line_would_allow_it() {
    let site = Site::new();
    let grant = Grant { http: vec!["hooks.example.org".to_owned()], ..Grant::default() };
    let (permissions, _) = site.permissions(grant, &[(Capability::Http, "*")]).unwrap();
    let wish = |host, port| Wish::Send { plain: false, host, port };
    assert!(permissions.authorize(&wish("hooks.example.org", 443)).is_ok());
    let refusal = permissions.authorize(&wish("ntfy.sh", 443)).unwrap_err();
    let hint = refusal.hint.unwrap();
    assert!(hint.ends_with(r#"http = ["hooks.example.org", "ntfy.sh"]"#), "{hint}");
    let refusal = permissions
        .authorize(&Wish::Send { plain: true, host: "hooks.example.org", port: 80 })
        .unwrap_err();
    assert!(refusal.hint.unwrap().ends_with(r#""http://hooks.example.org"]"#));
    let inside =
        Wish::Connect { host: "hooks.example.org", address: "172.22.1.3:443".parse().unwrap() };
    let refusal = permissions.authorize(&inside).unwrap_err();
    assert!(refusal.hint.unwrap().ends_with(r#""172.22.1.3:443"]"#));
}

#[test]
fn folders_for_files_are_plain_and_below_the_site() {
    let site = Site::new();
    for folder in [".", "", "/etc", "../x", "data/../..", ".git", ".GIT/hooks", "mailcow.conf"] {
        let grant = Grant { install: vec![folder.into()], ..Grant::default() };
        assert!(site.permissions(grant, &[(Capability::Install, "*")]).is_err(), "{folder}");
    }
}
