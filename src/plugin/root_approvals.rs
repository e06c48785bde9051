//! Root's approvals, kept outside of every site: they count if other users can change a site's own
//! files.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::lockfile::{LockFile, MOST_OF_A_LOCK};
use crate::digest::Digest;
use crate::dir::{self, Attributes, Dir};
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::files;
use crate::ownership::exposures;

/// The directory of the approvals.
const SYSTEM: &str = "/var/lib/cowhand";
/// The environment variable for another directory, for tests.
#[cfg(feature = "testing")]
const VARIABLE: &str = "COWHAND_STATE";
const HEAD: &str = "# Root's approvals for the plugins of the site in ";

/// A directory with one file for each site.
#[derive(Clone, Debug)]
pub struct RootApprovals {
    base: PathBuf,
}

impl RootApprovals {
    /// Returns this machine's approvals.
    pub fn of_the_system() -> Self {
        #[cfg(feature = "testing")]
        if let Some(base) = std::env::var_os(VARIABLE) {
            return Self::at(base.into());
        }
        Self::at(SYSTEM.into())
    }

    /// Returns the approvals in this directory, which is created when one is written.
    pub fn at(base: PathBuf) -> Self {
        Self { base }
    }

    /// Reads root's approvals for the site in this directory. A caller without permission to read
    /// them has none.
    pub fn read(&self, site: &Path) -> Result<LockFile> {
        let doing = || format!("could not read {}", self.path(site).display());
        let opened = Dir::open(&self.base).and_then(|base| {
            let (file, _) = base.file(Path::new(&name(site)))?;
            Ok((base, file))
        });
        let (base, file) = match opened {
            Ok(opened) => opened,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) =>
            {
                return Ok(LockFile::default());
            }
            Err(error) => return Err(error).what_with(doing).map_err(refused),
        };
        self.judge(&base, &self.base)?;
        self.judge(&file, &self.path(site))?;
        let text = dir::read_at_most(file, MOST_OF_A_LOCK).what_with(doing).map_err(refused)?;
        LockFile::parse(&String::from_utf8_lossy(&text), &self.path(site).display().to_string())
    }

    /// Writes root's approvals for the site in this directory, readable only by root.
    pub fn write(&self, site: &Path, approvals: &LockFile) -> Result<()> {
        let doing = || format!("could not write {}", self.path(site).display());
        files::private_folder(&self.base)?;
        let base = Dir::open(&self.base).what_with(doing)?;
        self.judge(&base, &self.base)?;
        let head = format!("{HEAD}{:?}.\n\n", site.display().to_string());
        let text = approvals.text(&head)?;
        let written = base.write(Path::new(&name(site)), text.as_bytes(), Attributes::bits(0o600));
        written.what_with(doing)
    }

    /// Refuses a file that other users can change.
    fn judge(&self, opened: impl std::os::fd::AsFd, path: &Path) -> Result<()> {
        let Some(exposure) = exposures(opened, path).into_iter().next() else { return Ok(()) };
        let what = format!("root's approvals in {} cannot be trusted", self.base.display());
        Err(refused(Error::new(what).because(exposure.why).hint(format!("`{}`", exposure.fix))))
    }

    fn path(&self, site: &Path) -> PathBuf {
        self.base.join(name(site))
    }
}

/// Returns the name of a site's file. The site's directory is canonical, so each site has one.
fn name(site: &Path) -> String {
    format!("approvals-{}.toml", Digest::of(site.as_os_str().as_bytes()).hex())
}

fn refused(error: Error) -> Error {
    error.exit(Exit::Refused)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::plugin::lockfile::tests::lock;

    #[test]
    fn each_site_has_its_own_and_nobody_else_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let approvals = RootApprovals::at(dir.path().join("cowhand"));
        let (one, other) = (Path::new("/opt/one"), Path::new("/opt/other"));
        assert_eq!(approvals.read(one).unwrap(), LockFile::default());
        approvals.write(one, &lock()).unwrap();
        assert_eq!(approvals.read(one).unwrap(), lock());
        assert_eq!(approvals.read(other).unwrap(), LockFile::default());
        let bits = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
        assert_eq!((bits(&approvals.base), bits(&approvals.path(one))), (0o700, 0o600));
    }

    #[test]
    fn those_that_others_can_change_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (approvals, site) =
            (RootApprovals::at(dir.path().join("cowhand")), Path::new("/opt/x"));
        approvals.write(site, &lock()).unwrap();
        let file = approvals.path(site);
        let set = |path: &Path, bits| {
            fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
        };
        set(&file, 0o602);
        let error = approvals.read(site).unwrap_err();
        assert_eq!(error.exit_code(), Some(Exit::Refused));
        assert!(error.hints()[0].starts_with("`chmod o-w"), "{error:?}");
        set(&file, 0o600);
        set(&approvals.base, 0o703);
        assert!(approvals.read(site).is_err() && approvals.write(site, &lock()).is_err());
        set(&approvals.base, 0o700);
        fs::rename(&file, dir.path().join("elsewhere")).unwrap();
        symlink(dir.path().join("elsewhere"), &file).unwrap();
        assert!(approvals.read(site).is_err(), "a link is not followed");
    }
}
