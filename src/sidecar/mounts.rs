//! What kubelet mounts: read anew whenever it changes.
//!
//! Kubelet swaps a symlink, so that every file of a folder is another one at once. What is looked at is which file a name
//! leads to, its time and its size; a look costs microseconds and is made several times a second.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::policy::{SidecarConfig, config::ConfigError, gate::Suppressed, gate::SuppressedError};

/// Where everything is mounted.
#[derive(Clone, Debug)]
pub struct Mounts {
    /// ConfigMap `mail-sidecar`.
    pub config: PathBuf,
    /// Secret `mail-suppressions`.
    pub suppressions: PathBuf,
    /// Secret `mail-credentials`, where the operator hands them out.
    pub credentials: Option<PathBuf>,
    /// The file with the pod's annotation, where there are other pods.
    pub allotment: Option<PathBuf>,
}

/// Why something mounted cannot be used. What was read before stays.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The file cannot be read.
    #[error("{file}: {error}")]
    Io {
        /// The file's name.
        file: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The configuration is none, or of another version.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The suppressions are none.
    #[error(transparent)]
    Suppressions(#[from] SuppressedError),
    /// A key is missing.
    #[error("key {0} of Secret mail-suppressions is missing")]
    Missing(&'static str),
}

/// Which file a name leads to, its time and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

/// Files of one folder that are looked at together.
#[derive(Debug)]
pub struct Watched {
    files: Vec<PathBuf>,
    seen: Option<Vec<Option<Seen>>>,
}

impl Watched {
    /// These files of a folder.
    #[must_use]
    pub fn new(folder: &Path, names: &[&str]) -> Self {
        Self {
            files: names.iter().map(|name| folder.join(name)).collect(),
            seen: None,
        }
    }

    /// One file.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self {
            files: vec![path.to_owned()],
            seen: None,
        }
    }

    /// What `read` makes of them, where they are others than at the last look. Files that change meanwhile are read at the
    /// next.
    pub fn if_changed<T>(&mut self, read: impl FnOnce() -> T) -> Option<T> {
        let before = self.look();
        if self.seen.as_ref() == Some(&before) {
            return None;
        }
        let made = read();
        if self.look() != before {
            return None;
        }
        self.seen = Some(before);
        Some(made)
    }

    fn look(&self) -> Vec<Option<Seen>> {
        let seen = |path: &PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            Some(Seen {
                inode: metadata.ino(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                size: metadata.len(),
            })
        };
        self.files.iter().map(seen).collect()
    }
}

/// The text of a file; `None` where there is none.
///
/// # Errors
/// When there is one that cannot be read.
pub fn text(folder: &Path, file: &'static str) -> Result<Option<String>, MountError> {
    match fs::read_to_string(folder.join(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(MountError::Io { file, error }),
    }
}

/// The configuration; `None` where there is none.
///
/// # Errors
/// When there is one that cannot be read.
pub fn config(folder: &Path) -> Result<Option<SidecarConfig>, MountError> {
    let text = text(folder, "sidecar.yaml")?;
    Ok(text.map(|text| SidecarConfig::parse(&text)).transpose()?)
}

/// The suppressions; `None` where there are none.
///
/// # Errors
/// When there are some that cannot be read.
pub fn suppressions(folder: &Path) -> Result<Option<Suppressed>, MountError> {
    let key = match fs::read(folder.join("key")) {
        Ok(key) => key,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(MountError::Io { file: "key", error }),
    };
    let revision = text(folder, "revision")?.ok_or(MountError::Missing("revision"))?;
    let hashes = text(folder, "hashes")?.ok_or(MountError::Missing("hashes"))?;
    Ok(Some(Suppressed::read(&key, &revision, &hashes)?))
}

/// Whether suppressions are at least as new as a configuration needs. Revisions have no order, but the Secret only ever
/// goes forward: one that takes the place of the revision that is needed is newer.
#[derive(Debug, Default)]
pub struct Newness {
    matched: Option<String>,
}

impl Newness {
    /// Whether these are new enough for a configuration that needs this revision.
    pub fn suffices(&mut self, needed: &str, at_hand: Option<&str>) -> bool {
        if at_hand == Some(needed) {
            self.matched = Some(needed.to_owned());
        }
        at_hand.is_some() && self.matched.as_deref() == Some(needed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Writes a version of a folder as kubelet does, and swaps to it.
    fn publish(folder: &Path, version: &str, files: &[(&str, &str)]) {
        let data = folder.join(version);
        fs::create_dir(&data).unwrap();
        for (name, text) in files {
            fs::write(data.join(name), text).unwrap();
            let link = folder.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link).unwrap();
            }
        }
        let swap = folder.join("..data_tmp");
        symlink(version, &swap).unwrap();
        fs::rename(swap, folder.join("..data")).unwrap();
    }

    #[test]
    fn a_swap_of_the_symlink_is_a_change_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut watched = Watched::new(folder, &["a"]);
        let look = |watched: &mut Watched| watched.if_changed(|| fs::read_to_string(folder.join("a")).ok());
        assert_eq!(look(&mut watched), Some(None), "the first look is one");
        assert_eq!(look(&mut watched), None);
        publish(folder, "..1", &[("a", "x")]);
        assert_eq!(look(&mut watched), Some(Some("x".to_owned())));
        publish(folder, "..2", &[("a", "x")]);
        assert!(look(&mut watched).is_some());
        fs::remove_file(folder.join("..data")).unwrap();
        assert_eq!(look(&mut watched), Some(None));
    }

    #[test]
    fn files_that_change_while_they_are_read_are_read_at_the_next_look() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "1").unwrap();
        let mut watched = Watched::new(folder.path(), &["a"]);
        let torn = watched.if_changed(|| fs::write(&file, "22").unwrap());
        assert!(torn.is_none());
        assert!(watched.if_changed(|| ()).is_some());
    }

    #[test]
    fn suppressions_are_whole_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(suppressions(folder).unwrap().is_none());
        fs::write(folder.join("key"), [7; 32]).unwrap();
        assert!(matches!(suppressions(folder), Err(MountError::Missing("revision"))));
        fs::write(folder.join("revision"), "r1\n").unwrap();
        fs::write(folder.join("hashes"), "").unwrap();
        assert_eq!(suppressions(folder).unwrap().unwrap().revision(), "r1");
        fs::write(folder.join("hashes"), "zz Bounce\n").unwrap();
        assert!(matches!(
            suppressions(folder),
            Err(MountError::Suppressions(SuppressedError::Line(1)))
        ));
    }

    #[test]
    fn suppressions_are_new_enough_once_they_were_those_that_are_needed() {
        let mut newness = Newness::default();
        assert!(!newness.suffices("r2", None));
        assert!(!newness.suffices("r2", Some("r1")), "older");
        assert!(newness.suffices("r2", Some("r2")));
        assert!(
            newness.suffices("r2", Some("r3")),
            "newer: the Secret comes before the configuration that names it"
        );
        assert!(!newness.suffices("r2", None), "taken away");
        assert!(!newness.suffices("r4", Some("r3")));
    }
}
