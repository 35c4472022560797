//! The text of a message: where it ends, and what of it is kept.

use memchr::memchr3;

use super::endings::Endings;
use super::memory::Held;

/// The least that is allocated for a message.
const FIRST_ALLOCATION: usize = 4096;

/// Reads a message's text up to CRLF.CRLF, which nothing else stands in for.
#[derive(Debug)]
pub(super) struct Reader {
    place: Place,
    text: Vec<u8>,
    endings: Endings,
    line: usize,
    longest_line: usize,
    limit: usize,
    /// How large the client said it will be: so much is held from the start.
    announced: usize,
    reserved: usize,
    held: Held,
    dropped: Option<Dropped>,
}

/// Where in the text the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At a line's start, which is the text's start or after a CRLF.
    Start,
    /// After a dot at a line's start.
    Dot,
    /// After a dot and a CR at a line's start.
    DotCr,
    /// Within a line.
    Line,
    /// After a CR within a line.
    Cr,
}

/// Why nothing of a message was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// It is larger than SIZE allows.
    TooLarge,
    /// Other messages hold the memory.
    NoMemory,
}

/// A whole text.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) data: Vec<u8>,
    pub(super) endings: Endings,
    pub(super) longest_line: usize,
    /// The memory that the data takes.
    pub(super) held: Held,
}

impl Reader {
    /// A reader of a text of at most `limit` octets that is said to have `announced`; nothing where they are not free.
    pub(super) fn new(limit: usize, announced: Option<usize>, mut held: Held) -> Option<Self> {
        let announced = announced.unwrap_or_default().min(limit);
        held.grow(announced).then(|| Self {
            place: Place::Start,
            text: Vec::new(),
            endings: Endings::default(),
            line: 0,
            longest_line: 0,
            limit,
            announced,
            reserved: announced,
            held,
            dropped: None,
        })
    }

    /// Takes what belongs to the text; says how many octets that was and whether the text has ended.
    pub(super) fn take(&mut self, input: &[u8]) -> (usize, bool) {
        let mut taken = 0;
        while let Some(&next) = input.get(taken) {
            match (self.place, next) {
                (Place::DotCr, b'\n') => return (taken + 1, true),
                (Place::Start, b'.') => {
                    self.place = Place::Dot;
                    taken += 1;
                }
                (Place::Dot, b'\r') => {
                    self.place = Place::DotCr;
                    taken += 1;
                }
                (Place::Cr, b'\n') => {
                    self.keep(b"\r\n");
                    self.end_line();
                    self.place = Place::Start;
                    taken += 1;
                }
                // A CR that no LF follows is data. In the second case the dot before it was put there by SMTP.
                (Place::Cr | Place::DotCr, _) => {
                    self.endings.bare_cr = true;
                    self.keep(b"\r");
                    self.end_line();
                    self.place = Place::Line;
                }
                // A dot at a line's start that does not end the text was put there by SMTP, and is dropped.
                (Place::Start | Place::Dot, _) => self.place = Place::Line,
                (Place::Line, _) => taken += self.take_line(&input[taken..]),
            }
        }
        (taken, false)
    }

    /// Takes what is within a line, and what ends it but CRLF.
    fn take_line(&mut self, rest: &[u8]) -> usize {
        let run = memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
        self.keep(&rest[..run]);
        self.line += run;
        match rest.get(run) {
            None => return run,
            Some(b'\r') => self.place = Place::Cr,
            Some(b'\n') => {
                self.endings.bare_lf = true;
                self.keep(b"\n");
                self.end_line();
            }
            Some(_) => {
                self.endings.nul = true;
                self.keep(b"\0");
                self.line += 1;
            }
        }
        run + 1
    }

    fn end_line(&mut self) {
        self.longest_line = self.longest_line.max(self.line);
        self.line = 0;
    }

    fn keep(&mut self, octets: &[u8]) {
        if self.dropped.is_none()
            && let Err(why) = self.make_room(octets.len())
        {
            self.dropped = Some(why);
            self.text = Vec::new();
            self.held.release();
        }
        if self.dropped.is_none() {
            self.text.extend_from_slice(octets);
        }
    }

    /// Sees to it that so many octets more fit in, within the limit and within the memory that is held for them.
    fn make_room(&mut self, more: usize) -> Result<(), Dropped> {
        let needed = self.text.len() + more;
        if needed > self.limit {
            return Err(Dropped::TooLarge);
        }
        if needed <= self.text.capacity() {
            return Ok(());
        }
        // Twice as much each time, so that a text is copied a few times only; what was announced is a better guess.
        let doubled = (2 * self.text.capacity()).max(FIRST_ALLOCATION).max(needed);
        let most = if needed <= self.announced {
            self.announced
        } else {
            self.limit
        };
        // Where memory is short, less: still so much that a large text is not copied at every read.
        let tight = needed + needed / 8;
        let capacity = [doubled, tight]
            .map(|capacity| capacity.min(most))
            .into_iter()
            .find(|capacity| self.reserve(*capacity))
            .ok_or(Dropped::NoMemory)?;
        self.text.reserve_exact(capacity - self.text.len());
        Ok(())
    }

    fn reserve(&mut self, capacity: usize) -> bool {
        if capacity > self.reserved {
            if !self.held.grow(capacity - self.reserved) {
                return false;
            }
            self.reserved = capacity;
        }
        true
    }

    /// The text, once it has ended.
    pub(super) fn finish(self) -> Result<Text, Dropped> {
        match self.dropped {
            Some(why) => Err(why),
            None => Ok(Text {
                data: self.text,
                endings: self.endings,
                longest_line: self.longest_line,
                held: self.held,
            }),
        }
    }
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
