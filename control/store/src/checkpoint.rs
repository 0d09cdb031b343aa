//! Checkpoints: the whole state in one file. The same bytes are the snapshot for another member.
//!
//! ```text
//! "skiffckp" | format u32 | block* | end       block: length u32 | crc32 u32 | bytes        (little endian)
//! first block: index, term, members, revision, floor, number of entries, number of events
//! then         entries in key order, then events in revision order, in blocks of about 256 KiB
//! end:         a block of length 0
//! ```
//! Why a file of its own and not a database (redb): the state is in memory, so the disk copy is only ever written
//! whole and read whole, in order. A sequential file with checksums does that at disk speed, needs no page cache in
//! this process, and is the snapshot and backup format as well. The price, writing everything each time, is bounded
//! by when it is written: after as many bytes of log as the state has (and at least
//! [`Config::checkpoint_log_bytes`](crate::Config)), so at most one byte is written
//! again for each byte that came in, and disk use stays under twice the live data (old and new file) plus that log.

use std::io::{self, Read, Write};

use bytes::Bytes;
use skiff_raft::{Position, core::members_of_one};

use crate::{
    Entry, Event, Revision,
    codec::{self, DecodeError},
    history::History,
    map::Map,
    state::State,
};

const MAGIC: &[u8; 8] = b"skiffckp";
const FORMAT: u32 = 1;
const BLOCK: usize = 256 << 10;
/// Largest block that is believed: one entry may be larger than `BLOCK`, by the largest transaction.
const MAX_BLOCK: usize = 1 << 30;
/// How much of the history goes along, so that watches survive a restart.
const HISTORY_BYTES: usize = 4 << 20;

/// A state as it was at one position of the log; costs little to take and keep.
pub(crate) struct Image {
    at: Position,
    revision: Revision,
    floor: Revision,
    map: Map,
    events: Vec<Event>,
}

impl Image {
    pub fn of(state: &State, at: Position) -> Self {
        let (floor, events) = state.history.tail(HISTORY_BYTES);
        Self {
            at,
            revision: state.revision,
            floor,
            map: state.map.clone(),
            events,
        }
    }

    /// The same state at the beginning of another group: one of `member` alone, with no history, and `ahead` revisions
    /// later, so that nobody who saw more of the old group sees time go back.
    pub fn of_new_group(mut self, member: u64, ahead: u64) -> Self {
        self.at.members = members_of_one(member);
        self.revision += ahead;
        self.floor = self.revision;
        self.events.clear();
        self
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.map.iter()
    }

    pub fn write(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        out.write_all(MAGIC)?;
        out.write_all(&FORMAT.to_le_bytes())?;
        let mut block = Vec::new();
        for number in [self.at.index, self.at.term] {
            codec::put_number(&mut block, number);
        }
        codec::put_bytes(&mut block, &self.at.members);
        for number in [
            self.revision,
            self.floor,
            self.map.len() as u64,
            self.events.len() as u64,
        ] {
            codec::put_number(&mut block, number);
        }
        flush(out, &mut block)?;
        for entry in self.map.iter() {
            codec::put_entry(&mut block, entry);
            if block.len() >= BLOCK {
                flush(out, &mut block)?;
            }
        }
        for event in &self.events {
            codec::put_event(&mut block, event);
            if block.len() >= BLOCK {
                flush(out, &mut block)?;
            }
        }
        if !block.is_empty() {
            flush(out, &mut block)?;
        }
        flush(out, &mut block)?;
        out.flush()
    }

    /// Reads what [`Image::write`] wrote.
    ///
    /// # Errors
    /// `InvalidData` with the reason when it is not whole, or of a format not known.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 12];
        from.read_exact(&mut head)?;
        if head[..8] != *MAGIC {
            return Err(invalid("it is neither a checkpoint nor a snapshot"));
        }
        let format = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        if format != FORMAT {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("its format is {format}; this version knows {FORMAT}"),
            ));
        }
        let mut blocks = Blocks {
            from,
            block: Bytes::new(),
        };
        let first = blocks.more()?;
        let mut meta = blocks.block.clone();
        if !first {
            return Err(invalid("it is empty"));
        }
        let mut number = || codec::number(&mut meta).map_err(damaged);
        let (index, term) = (number()?, number()?);
        let members = codec::bytes(&mut meta).map_err(damaged)?.to_vec();
        let mut number = || codec::number(&mut meta).map_err(damaged);
        let (revision, floor, entries, events) = (number()?, number()?, number()?, number()?);
        blocks.block.clear();
        let mut image = Self {
            at: Position { index, term, members },
            revision,
            floor,
            map: Map::default(),
            events: Vec::new(),
        };
        for _ in 0..entries {
            image.map.insert(blocks.take(codec::entry)?);
        }
        for _ in 0..events {
            image.events.push(blocks.take(codec::event)?);
        }
        if image.map.len() as u64 != entries || !blocks.block.is_empty() || blocks.more()? {
            return Err(invalid("there is more or less in it than it says"));
        }
        Ok(image)
    }

    pub fn into_state(self) -> (Position, State) {
        let live_bytes = self
            .map
            .iter()
            .map(|entry| entry.key.len() + entry.value.len())
            .sum();
        let mut history = History::new(self.floor);
        for event in self.events {
            history.push(event);
        }
        (
            self.at,
            State {
                map: self.map,
                live_bytes,
                revision: self.revision,
                history,
                closed: None,
            },
        )
    }
}

fn flush(out: &mut (impl Write + ?Sized), block: &mut Vec<u8>) -> io::Result<()> {
    let length = u32::try_from(block.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&crc32fast::hash(block).to_le_bytes())?;
    out.write_all(block)?;
    block.clear();
    Ok(())
}

struct Blocks<'a, R> {
    from: &'a mut R,
    block: Bytes,
}

impl<R: Read> Blocks<'_, R> {
    /// Reads the next block; `false` at the end block.
    fn more(&mut self) -> io::Result<bool> {
        let mut head = [0; 8];
        self.from.read_exact(&mut head)?;
        let (length, crc) = head.split_at(4);
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if length > MAX_BLOCK {
            return Err(invalid("a block has an impossible length"));
        }
        let mut block = vec![0; length];
        self.from.read_exact(&mut block)?;
        if crc32fast::hash(&block).to_le_bytes() != *crc {
            return Err(invalid("a checksum is wrong"));
        }
        self.block = block.into();
        Ok(length > 0)
    }

    fn take<V>(&mut self, decode: impl Fn(&mut Bytes) -> Result<V, DecodeError>) -> io::Result<V> {
        if self.block.is_empty() && !self.more()? {
            return Err(invalid("it ends early"));
        }
        decode(&mut self.block).map_err(damaged)
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn damaged(error: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
