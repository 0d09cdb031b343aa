//! Unpacking one layer (image-spec, layer.md) into a directory that an overlay mount uses as a lower layer.
//!
//! A layer comes from strangers: nothing in it may reach outside of its directory. Every path is resolved with
//! `openat2(RESOLVE_IN_ROOT)`, so that a symbolic link made by an earlier entry leads nowhere but into the layer.

use std::{
    ffi::OsStr,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
        chmodat, chownat, fsetxattr, linkat, mkdirat, mknodat, openat, openat2, statat, symlinkat, unlinkat,
        utimensat,
    },
    io::Errno,
};
use sha2::{Digest, Sha256};
use tar::{Archive, Entry, EntryType};

/// How to unpack.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Overlay marks are written as `user.overlay.*`.
    pub user_xattr: bool,
    /// Owners that don't exist in our user namespace become ours (a namespace with a single id).
    pub squash_owners: bool,
}

/// Unpacks a layer, compressed or not (gzip and zstd are told by their magic numbers), into `dir`, which exists and
/// is empty. Returns the digest of the uncompressed tar, `sha256:…` (the layer's diff id), and its length in bytes.
///
/// # Errors
/// I/O errors with the entry's path; `InvalidData` for what is not a layer.
pub fn unpack(compressed: impl Read, dir: &Path, options: Options) -> io::Result<(String, u64)> {
    let root = openat(
        CWD,
        dir,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut tar = Hashing::new(decompress(compressed)?);
    let mut directory_times: Vec<(PathBuf, Timestamps)> = Vec::new();
    let mut archive = Archive::new(&mut tar);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = relative(&entry.path_bytes())?;
        let unpacker = Unpacker {
            root: root.as_fd(),
            options,
        };
        unpacker
            .entry(&mut entry, &path, &mut directory_times)
            .map_err(|e| io::Error::new(e.kind(), format!("layer entry {}: {e}", path.display())))?;
    }
    // Writing into a directory changes its time: set those last, the deepest first.
    for (path, times) in directory_times.iter().rev() {
        if let Ok((parent, name)) = resolve(root.as_fd(), path, false) {
            let _ = utimensat(&parent, name, times, AtFlags::SYMLINK_NOFOLLOW);
        }
    }
    // The archive ends before the stream does: the rest (padding) belongs to the digest too.
    io::copy(&mut tar, &mut io::sink())?;
    Ok(tar.finish())
}

struct Unpacker<'a> {
    root: BorrowedFd<'a>,
    options: Options,
}

impl Unpacker<'_> {
    fn entry<R: Read>(
        &self,
        entry: &mut Entry<'_, R>,
        path: &Path,
        directory_times: &mut Vec<(PathBuf, Timestamps)>,
    ) -> io::Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
            return Ok(());
        }
        let mode = Mode::from_raw_mode(entry.header().mode()? & 0o7777);
        if path.as_os_str().is_empty() {
            return self.owner_and_mode(self.root, OsStr::new("."), entry, mode);
        }
        let (parent, name) = resolve(self.root, path, true)?;
        if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
            return self.whiteout(&parent, hidden);
        }
        remove_existing(&parent, name, kind)?;
        match kind {
            EntryType::Directory => match mkdirat(&parent, name, mode) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            },
            EntryType::Symlink => symlinkat(OsStr::from_bytes(&link_name(entry)?), &parent, name)?,
            EntryType::Link => {
                let target = relative(&link_name(entry)?)?;
                let (target_parent, target_name) = resolve(self.root, &target, false)?;
                linkat(&target_parent, target_name, &parent, name, AtFlags::empty())?;
                // Owner and mode are those of the file it is another name of.
                return Ok(());
            }
            EntryType::Fifo => mknodat(&parent, name, FileType::Fifo, mode, 0)?,
            EntryType::Char | EntryType::Block => {
                let file_type = if kind == EntryType::Char {
                    FileType::CharacterDevice
                } else {
                    FileType::BlockDevice
                };
                let header = entry.header();
                let device = rustix::fs::makedev(
                    header.device_major()?.unwrap_or_default(),
                    header.device_minor()?.unwrap_or_default(),
                );
                match mknodat(&parent, name, file_type, mode, device) {
                    Ok(()) => {}
                    // No real devices in a user namespace; a container gets its devices from the runtime anyway.
                    Err(Errno::PERM) => return Ok(()),
                    Err(e) => return Err(e.into()),
                }
            }
            _ => self.file(entry, &parent, name, mode)?,
        }
        self.owner_and_mode(parent.as_fd(), name, entry, mode)?;
        if kind != EntryType::Symlink {
            set_attributes(entry, &parent, name)?;
        }
        let times = timestamps(entry)?;
        if kind == EntryType::Directory {
            directory_times.push((path.to_owned(), times));
        } else {
            utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    fn file<R: Read>(
        &self,
        entry: &mut Entry<'_, R>,
        parent: &OwnedFd,
        name: &OsStr,
        mode: Mode,
    ) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = std::fs::File::from(openat(parent, name, flags, mode & Mode::from_raw_mode(0o777))?);
        io::copy(entry, &mut file)?;
        Ok(())
    }

    /// `.wh..wh..opq` hides all of the directory's lower content, `.wh.<name>` one name (image-spec, "Whiteouts"); an
    /// overlay mount knows them as an attribute and as a character device 0:0.
    fn whiteout(&self, parent: &OwnedFd, hidden: &[u8]) -> io::Result<()> {
        if hidden == b".wh..opq" {
            let directory = openat(
                parent,
                ".",
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            let name = if self.options.user_xattr {
                "user.overlay.opaque"
            } else {
                "trusted.overlay.opaque"
            };
            return Ok(fsetxattr(directory, name, b"y", XattrFlags::empty())?);
        }
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err(invalid("a whiteout of nothing"));
        }
        let name = OsStr::from_bytes(hidden);
        match mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
            // The same layer may remove a file of a lower one and add it anew: the new one hides it as well.
            Err(Errno::EXIST) => Ok(()),
            other => Ok(other?),
        }
    }

    fn owner_and_mode<R: Read>(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        entry: &Entry<'_, R>,
        mode: Mode,
    ) -> io::Result<()> {
        // Whole 32-bit ids exist in the header; -1 means "no change" to the kernel and can't be an owner.
        let id = |id: u64| {
            u32::try_from(id)
                .ok()
                .filter(|id| *id != u32::MAX)
                .ok_or_else(|| invalid("an owner beyond 32 bits"))
        };
        let owner = id(entry.header().uid()?)?;
        let group = id(entry.header().gid()?)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match chownat(
            parent,
            name,
            Some(Uid::from_raw(owner)),
            Some(Gid::from_raw(group)),
            flags,
        ) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::PERM) if self.options.squash_owners => {}
            Err(Errno::INVAL) => {
                return Err(invalid(&format!(
                    "owner {owner}:{group} is outside of the user id range of this user (/etc/subuid, /etc/subgid)"
                )));
            }
            Err(e) => return Err(e.into()),
        }
        // After the owner: a change of owner clears set-user-id.
        if entry.header().entry_type() != EntryType::Symlink {
            chmodat(parent, name, mode, AtFlags::empty())?;
        }
        Ok(())
    }
}

/// Opens the directory that holds the last component of `path`, making missing ones when asked to.
fn resolve<'p>(root: BorrowedFd<'_>, path: &'p Path, make: bool) -> io::Result<(OwnedFd, &'p OsStr)> {
    let name = path
        .file_name()
        .ok_or_else(|| invalid("an entry without a name"))?;
    let parent = path.parent().unwrap_or(Path::new(""));
    let open = |path: &Path| {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(
            root,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )
    };
    match open(parent) {
        Ok(directory) => return Ok((directory, name)),
        Err(Errno::NOENT) if make => {}
        Err(e) => return Err(e.into()),
    }
    let mut made = PathBuf::new();
    for component in parent.components() {
        let above = open(&made)?;
        made.push(component);
        match mkdirat(above, component.as_os_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok((open(parent)?, name))
}

/// The path of an entry below the layer's root: no leading `/` or `.`, and no `..` at all.
fn relative(bytes: &[u8]) -> io::Result<PathBuf> {
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(bytes)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(invalid("a path that leads upwards")),
        }
    }
    Ok(path)
}

/// A later entry of one name replaces the earlier, but a directory stays when it comes again.
fn remove_existing(parent: &OwnedFd, name: &OsStr, kind: EntryType) -> io::Result<()> {
    let existing = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(Errno::NOENT) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    match (existing, kind) {
        (FileType::Directory, EntryType::Directory) => Ok(()),
        (FileType::Directory, _) => Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?),
        _ => Ok(unlinkat(parent, name, AtFlags::empty())?),
    }
}

fn link_name<R: Read>(entry: &Entry<'_, R>) -> io::Result<Vec<u8>> {
    Ok(entry
        .link_name_bytes()
        .ok_or_else(|| invalid("a link to nothing"))?
        .into_owned())
}

/// Extended attributes (pax records `SCHILY.xattr.*`), file capabilities among them.
fn set_attributes<R: Read>(entry: &mut Entry<'_, R>, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let Some(records) = entry.pax_extensions()? else {
        return Ok(());
    };
    for record in records {
        let record = record?;
        let Some(attribute) = record.key_bytes().strip_prefix(b"SCHILY.xattr.") else {
            continue;
        };
        // An attribute of the overlay itself would be obeyed by the mount.
        let attribute = OsStr::from_bytes(attribute);
        let text = attribute.as_bytes();
        if text.starts_with(b"trusted.") || text.starts_with(b"user.overlay.") {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(parent, name, flags, Mode::empty())
            .and_then(|file| fsetxattr(file, attribute, record.value_bytes(), XattrFlags::empty()))
        {
            // Not every file system and not every namespace has every kind.
            Ok(()) | Err(Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL | Errno::ACCESS | Errno::NXIO) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn timestamps<R: Read>(entry: &Entry<'_, R>) -> io::Result<Timestamps> {
    let seconds = i64::try_from(entry.header().mtime()?).map_err(|_| invalid("a time beyond 63 bits"))?;
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    Ok(Timestamps {
        last_access: time,
        last_modification: time,
    })
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// A reader of the uncompressed bytes.
pub fn decompress<'r>(mut reader: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let mut magic = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut magic)?;
    let is_gzip = magic.starts_with(&[0x1f, 0x8b]);
    let is_zstd = magic == [0x28, 0xb5, 0x2f, 0xfd];
    let whole = io::BufReader::with_capacity(1 << 16, io::Cursor::new(magic).chain(reader));
    Ok(if is_gzip {
        Box::new(flate2::bufread::MultiGzDecoder::new(whole))
    } else if is_zstd {
        Box::new(zstd::stream::read::Decoder::with_buffer(whole)?)
    } else {
        Box::new(whole)
    })
}

/// A reader that hashes and counts what passes.
pub struct Hashing<R> {
    inner: R,
    hash: Sha256,
    length: u64,
}

impl<R: Read> Hashing<R> {
    /// Wraps a reader.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            length: 0,
        }
    }

    /// `sha256:…` of what has passed, and its length.
    pub fn finish(self) -> (String, u64) {
        (
            format!("sha256:{}", hex::encode(self.hash.finalize())),
            self.length,
        )
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hash.update(&buffer[..length]);
        self.length += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

    use proptest::prelude::*;

    use super::*;

    /// Owners are those of the tests' own user, so that no root is needed.
    const OPTIONS: Options = Options {
        user_xattr: true,
        squash_owners: true,
    };

    struct Layer(tar::Builder<Vec<u8>>);

    impl Layer {
        fn new() -> Self {
            Self(tar::Builder::new(Vec::new()))
        }

        fn add(mut self, path: &str, kind: EntryType, link: &str, data: &[u8]) -> Self {
            let mut header = tar::Header::new_gnu();
            // Written as bytes: the builder would refuse what a hostile archive may hold.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(if kind == EntryType::Directory {
                0o755
            } else {
                0o640
            });
            header.set_size(data.len() as u64);
            header.set_uid(nix::unistd::getuid().as_raw().into());
            header.set_gid(nix::unistd::getgid().as_raw().into());
            header.set_mtime(1_000_000_000);
            header.set_cksum();
            self.0.append(&header, data).unwrap();
            self
        }

        fn file(self, path: &str, data: &str) -> Self {
            self.add(path, EntryType::Regular, "", data.as_bytes())
        }

        fn bytes(self) -> Vec<u8> {
            self.0.into_inner().unwrap()
        }
    }

    fn unpack_to(layer: Layer) -> (tempfile::TempDir, io::Result<(String, u64)>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("layer")).unwrap();
        std::fs::write(dir.path().join("outside"), "safe").unwrap();
        let result = unpack(io::Cursor::new(layer.bytes()), &dir.path().join("layer"), OPTIONS);
        (dir, result)
    }

    #[test]
    fn files_links_times_and_modes_come_out_as_they_went_in() {
        let layer = Layer::new()
            .add("etc/", EntryType::Directory, "", b"")
            .file("etc/motd", "hello")
            .add("etc/motd2", EntryType::Link, "etc/motd", b"")
            .add("motd", EntryType::Symlink, "/etc/motd", b"")
            .file("deep/er/file", "x");
        let (dir, result) = unpack_to(layer);
        result.unwrap();
        let at = |p: &str| dir.path().join("layer").join(p);
        assert_eq!(std::fs::read_to_string(at("etc/motd")).unwrap(), "hello");
        assert_eq!(
            std::fs::metadata(at("etc/motd")).unwrap().ino(),
            std::fs::metadata(at("etc/motd2")).unwrap().ino()
        );
        assert_eq!(std::fs::read_link(at("motd")).unwrap(), Path::new("/etc/motd"));
        assert_eq!(
            std::fs::metadata(at("etc/motd")).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(std::fs::metadata(at("etc")).unwrap().mtime(), 1_000_000_000);
        assert_eq!(std::fs::read_to_string(at("deep/er/file")).unwrap(), "x");
    }

    #[test]
    fn nothing_reaches_outside_of_the_layer() {
        for layer in [
            Layer::new()
                .add("up", EntryType::Symlink, "..", b"")
                .file("up/outside", "broken"),
            Layer::new()
                .add("up", EntryType::Symlink, "/..", b"")
                .file("up/../outside", "broken"),
            Layer::new().file("../outside", "broken"),
            Layer::new()
                .add("x", EntryType::Link, "../outside", b"")
                .file("x", "broken"),
            Layer::new()
                .add("outside", EntryType::Symlink, "../outside", b"")
                .file("outside", "broken"),
        ] {
            let (dir, _) = unpack_to(layer);
            assert_eq!(
                std::fs::read_to_string(dir.path().join("outside")).unwrap(),
                "safe"
            );
        }
    }

    #[test]
    fn a_later_entry_replaces_an_earlier_one() {
        let layer = Layer::new()
            .file("a", "one")
            .file("a", "two")
            .add("b", EntryType::Symlink, "a", b"")
            .file("b", "three")
            .add("d", EntryType::Directory, "", b"")
            .file("d/x", "kept")
            .add("d", EntryType::Directory, "", b"");
        let (dir, result) = unpack_to(layer);
        result.unwrap();
        let read = |p: &str| std::fs::read_to_string(dir.path().join("layer").join(p)).unwrap();
        assert_eq!(
            (read("a"), read("b"), read("d/x")),
            ("two".into(), "three".into(), "kept".into())
        );
    }

    #[test]
    fn whiteouts_become_what_an_overlay_mount_understands() {
        let layer = Layer::new().file("d/.wh.gone", "").file("d/.wh..wh..opq", "");
        let (dir, result) = unpack_to(layer);
        if !nix::unistd::getuid().is_root() {
            eprintln!("skipped: making a whiteout device needs root or a user namespace");
            return;
        }
        result.unwrap();
        let gone = std::fs::symlink_metadata(dir.path().join("layer/d/gone")).unwrap();
        assert!(gone.file_type().is_char_device());
        assert_eq!(gone.rdev(), 0);
        let mut value = [0; 8];
        let path = dir.path().join("layer/d");
        assert_eq!(
            rustix::fs::getxattr(&path, "user.overlay.opaque", &mut value).unwrap(),
            1
        );
    }

    #[test]
    fn the_digest_is_of_the_uncompressed_bytes_whatever_the_compression() {
        use std::io::Write;
        let plain = Layer::new().file("a", "hello").bytes();
        let expected = format!("sha256:{}", hex::encode(Sha256::digest(&plain)));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let zstd = zstd::encode_all(&plain[..], 1).unwrap();
        for compressed in [plain.clone(), gzip.finish().unwrap(), zstd] {
            let dir = tempfile::tempdir().unwrap();
            let (digest, length) = unpack(io::Cursor::new(compressed), dir.path(), OPTIONS).unwrap();
            assert_eq!((digest, length), (expected.clone(), plain.len() as u64));
        }
    }

    proptest! {
        #[test]
        fn broken_bytes_are_an_error_and_never_a_panic(flips in prop::collection::vec((0_usize..2048, any::<u8>()), 1..20)) {
            let mut bytes = Layer::new().file("a", "hello").add("l", EntryType::Symlink, "a", b"").bytes();
            let length = bytes.len();
            for (at, value) in flips {
                bytes[at % length] = value;
            }
            let dir = tempfile::tempdir().unwrap();
            let _ = unpack(io::Cursor::new(bytes), dir.path(), OPTIONS);
        }
    }
}
