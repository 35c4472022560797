//! What the ceilings let through, kept over a restart of the container: a snapshot and a journal in an emptyDir.
//!
//! Every taking is in the journal before its message leaves. A process that is killed loses nothing of it: what was
//! written is the kernel's. (A node that loses power loses the pod, and its emptyDir with it.)

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::policy::{
    allotment::Allotted,
    ceiling::{Ceilings, Mailed, Moment, RecipientHash, Ticket},
};

/// Octets of a journal after which a snapshot takes its place, unless that is larger itself: then as many as it has, so
/// that snapshots are no more to write than what they stand for.
const JOURNAL_MAX: u64 = 1024 * 1024;

/// Octets of a snapshot that are written at once.
const WRITE: usize = 64 * 1024;

/// The version of both files; another is not read.
const VERSION: u32 = 1;

/// What happened.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// A message took its room.
    Taken(Ticket),
    /// Some of its recipients were not mailed.
    GivenBack {
        /// What the message took.
        ticket: Ticket,
        /// Who was not mailed.
        not_mailed: Vec<Mailed>,
        /// When that was known.
        at: Moment,
    },
    /// SES accepted mail to these.
    Accepted(Vec<RecipientHash>),
}

/// What is kept as a whole.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kept {
    /// The ceilings, and what they let through.
    pub ceilings: Ceilings,
    /// The pod's share of them; only together with their past.
    pub allotted: Option<Allotted>,
}

/// What is to be kept: a [`Kept`] that is written where it stands, since with many recipients a copy is large.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Keeping<'a> {
    /// The ceilings, and what they let through.
    pub ceilings: &'a Ceilings,
    /// The pod's share of them.
    pub allotted: Option<&'a Allotted>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Snapshot<K> {
    version: u32,
    /// Its journal has the same number.
    number: u64,
    kept: K,
}

/// The two files.
#[derive(Debug)]
pub struct Past {
    folder: PathBuf,
    number: u64,
    journal: File,
    written: u64,
    /// Octets of the snapshot.
    snapshot: u64,
}

impl Kept {
    fn keeping(&self) -> Keeping<'_> {
        let Self { ceilings, allotted } = self;
        Keeping {
            ceilings,
            allotted: allotted.as_ref(),
        }
    }
}

impl Event {
    /// Does it once more.
    fn replay(&self, ceilings: &mut Ceilings) {
        match self {
            Self::Taken(ticket) => ceilings.apply(ticket),
            Self::GivenBack { ticket, not_mailed, at } => ceilings.give_back(ticket, not_mailed, *at),
            Self::Accepted(hashes) => ceilings.learn(hashes.iter().copied()),
        }
    }
}

impl Past {
    /// Reads what is kept in the folder, and begins a new journal there; the ceilings as they were.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or holds what this program did not write: then its ceilings are not
    /// known, and nothing may be sent by fresh ones.
    pub fn open(folder: &Path, now: Moment) -> io::Result<(Self, Kept)> {
        let kept = match fs::read(folder.join("ceilings.json")) {
            Ok(text) => Some(serde_json::from_slice::<Snapshot<Kept>>(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let (number, mut kept) = match kept {
            Some(Snapshot { version, .. }) if version != VERSION => {
                return Err(io::Error::other(format!(
                    "ceilings.json has version {version}, this program reads {VERSION}"
                )));
            }
            Some(Snapshot { number, kept, .. }) => (number, kept),
            None => (0, Kept::default()),
        };
        let journal = match fs::read(journal_path(folder, number)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut lines = journal.split_inclusive(|byte| *byte == b'\n');
        // A line without its end was being written when the process was killed: its message had not left.
        lines
            .by_ref()
            .filter(|line| line.ends_with(b"\n"))
            .try_for_each(|line| {
                let event: Event = serde_json::from_slice(line)?;
                event.replay(&mut kept.ceilings);
                Ok::<_, io::Error>(())
            })?;
        kept.ceilings = kept.ceilings.not_after(now);
        let past = Self::begin(folder, number + 1, kept.keeping())?;
        Ok((past, kept))
    }

    /// A new snapshot, of ceilings under other limits or after a long journal.
    ///
    /// # Errors
    /// When it cannot be written: what was kept before stays whole.
    pub fn renew(&mut self, kept: Keeping<'_>) -> io::Result<()> {
        *self = Self::begin(&self.folder, self.number + 1, kept)?;
        Ok(())
    }

    /// Whether the journal is so long that a snapshot should take its place.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.written > JOURNAL_MAX.max(self.snapshot)
    }

    /// Notes what happened. Returns once the kernel has it.
    ///
    /// # Errors
    /// When it cannot be written: then nothing may be sent.
    pub fn note(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        if let Err(error) = self.journal.write_all(&line) {
            // Half a line would hide what follows it: back to where the last whole one ended.
            self.journal.set_len(self.written)?;
            return Err(error);
        }
        self.written += line.len() as u64;
        Ok(())
    }

    /// A snapshot, and an empty journal beside it. Whatever moment this is cut off at, one pair of both is whole.
    fn begin(folder: &Path, number: u64, kept: Keeping<'_>) -> io::Result<Self> {
        let path = journal_path(folder, number);
        let journal = OpenOptions::new().create(true).append(true).open(&path)?;
        journal.set_len(0)?;
        let snapshot = Snapshot {
            version: VERSION,
            number,
            kept,
        };
        let new = folder.join("ceilings.json.new");
        let mut file = BufWriter::with_capacity(WRITE, File::create(&new)?);
        serde_json::to_writer(&mut file, &snapshot)?;
        let snapshot = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let snapshot = snapshot.metadata()?.len();
        fs::rename(&new, folder.join("ceilings.json"))?;
        if let Some(before) = number.checked_sub(1) {
            match fs::remove_file(journal_path(folder, before)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            number,
            journal,
            written: 0,
            snapshot,
        })
    }
}

fn journal_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("ceilings.{number}.journal"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ceiling::NamespaceLimits;

    fn limits() -> NamespaceLimits {
        NamespaceLimits {
            recipients: ["3/h".parse::<crate::api::Rate>().unwrap()].into_iter().collect(),
            ..NamespaceLimits::default()
        }
    }

    fn at(second: u64) -> Moment {
        Moment(second * 1_000_000_000)
    }

    fn mailed(hash: u64) -> [Mailed; 1] {
        [Mailed { hash, simulated: false }]
    }

    fn open(folder: &Path) -> (Past, Ceilings) {
        let (mut past, kept) = Past::open(folder, at(10)).unwrap();
        let ceilings = kept.ceilings.under(&limits(), at(10));
        renew(&mut past, &ceilings);
        (past, ceilings)
    }

    fn renew(past: &mut Past, ceilings: &Ceilings) {
        let allotted = None;
        past.renew(Keeping { ceilings, allotted }).unwrap();
    }

    #[test]
    fn what_was_taken_stays_taken_however_often_the_sidecar_starts_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (mut past, mut ceilings) = open(folder);
        for hash in 0..3 {
            let ticket = ceilings.take(&[], &mailed(hash), at(10)).unwrap();
            past.note(&Event::Taken(ticket)).unwrap();
            (past, ceilings) = open(folder);
        }
        assert!(ceilings.take(&[], &mailed(9), at(20)).is_err());
        let files = fs::read_dir(folder).unwrap().count();
        assert_eq!(files, 2, "one snapshot, one journal");
    }

    #[test]
    fn what_was_given_back_and_learned_is_kept_too() {
        let folder = tempfile::tempdir().unwrap();
        let (mut past, mut ceilings) = open(folder.path());
        let ticket = ceilings.take(&[], &mailed(1), at(10)).unwrap();
        past.note(&Event::Taken(ticket.clone())).unwrap();
        let back = Event::GivenBack {
            ticket,
            not_mailed: mailed(1).to_vec(),
            at: at(11),
        };
        past.note(&back).unwrap();
        past.note(&Event::Accepted(vec![7])).unwrap();
        let (_, mut ceilings) = open(folder.path());
        let three: Vec<Mailed> = [7, 8, 9].into_iter().flat_map(mailed).collect();
        let ticket = ceilings.take(&[], &three, at(12)).unwrap();
        assert_eq!(ticket.new, [8, 9]);
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out_and_one_that_is_damaged_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (mut past, mut ceilings) = open(folder.path());
        let ticket = ceilings.take(&[], &mailed(1), at(10)).unwrap();
        past.note(&Event::Taken(ticket)).unwrap();
        past.journal.write_all(br#"{"taken":{"at":1"#).unwrap();
        let (mut past, ceilings) = open(folder.path());
        assert_eq!(ceilings.usage(at(10)).map(|(_, _, used)| used).collect::<Vec<_>>(), [1]);
        past.journal.write_all(b"damage\n").unwrap();
        assert!(Past::open(folder.path(), at(10)).is_err());
    }

    #[test]
    fn a_snapshot_takes_the_place_of_a_long_journal() {
        let folder = tempfile::tempdir().unwrap();
        let (mut past, mut ceilings) = open(folder.path());
        let ticket = ceilings.take(&[], &mailed(1), at(10)).unwrap();
        past.note(&Event::Taken(ticket)).unwrap();
        assert!(!past.is_long());
        past.written = JOURNAL_MAX + 1;
        assert!(past.is_long());
        past.snapshot = JOURNAL_MAX + 1;
        assert!(!past.is_long(), "as much as the snapshot that it follows");
        renew(&mut past, &ceilings);
        assert!(!past.is_long());
        let (_, ceilings) = open(folder.path());
        assert_eq!(ceilings.usage(at(10)).map(|(_, _, used)| used).collect::<Vec<_>>(), [1]);
    }
}
