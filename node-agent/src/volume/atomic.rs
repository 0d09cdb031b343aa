//! Writes a set of files so that a reader sees the old set or the new one, never a mixture: files live in a directory
//! with a name of its own, `..data` is a link to it that is replaced by rename, and the visible names are links
//! through `..data`. Source: Kubernetes, "Mounted ConfigMaps are updated automatically".

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::{Component, Path},
};

/// Content and mode by path below the volume.
pub(super) type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// Writes `files` to the volume at `dir`; does nothing when they are there already.
pub(super) fn write(dir: &Path, files: &Files, group: Option<u32>) -> io::Result<()> {
    for path in files.keys() {
        let plain = Path::new(path)
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        if !plain || path.is_empty() || path.starts_with("..") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("bad file name {path:?}"),
            ));
        }
    }
    let data = dir.join("..data");
    let old = fs::read_link(&data).ok();
    if old.is_some() && same(&data, files) {
        return Ok(());
    }
    let name = format!("..{}", jiff::Timestamp::now().as_nanosecond());
    let fresh = dir.join(&name);
    fs::create_dir(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
    for (path, (content, mode)) in files {
        let path = fresh.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content)?;
        let mut mode = *mode;
        if let Some(group) = group
            && chown(&path, None, Some(group)).is_ok()
        {
            mode |= 0o040;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    let link = dir.join("..data_tmp");
    let _ = fs::remove_file(&link);
    symlink(&name, &link)?;
    fs::rename(&link, &data)?;
    let tops: BTreeSet<&str> = files
        .keys()
        .map(|path| path.split('/').next().unwrap_or(path))
        .collect();
    for top in &tops {
        let visible = dir.join(top);
        if fs::symlink_metadata(&visible).is_err() {
            symlink(Path::new("..data").join(top), &visible)?;
        }
    }
    for entry in fs::read_dir(dir)?.flatten() {
        let entry_name = entry.file_name();
        let Some(text) = entry_name.to_str() else { continue };
        if !text.starts_with("..") && !tops.contains(text) {
            fs::remove_file(entry.path())?;
        }
        if text.starts_with("..") && text != "..data" && text != name {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn same(data: &Path, files: &Files) -> bool {
    let mut found = 0;
    let mut stack = vec![data.to_owned()];
    while let Some(dir) = stack.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            return false;
        };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                stack.push(entry.path());
            } else {
                found += 1;
            }
        }
    }
    found == files.len()
        && files
            .iter()
            .all(|(path, (content, _))| fs::read(data.join(path)).is_ok_and(|existing| existing == *content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_change_all_at_once_and_stale_ones_go() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let files = |list: &[(&str, &str)]| -> Files {
            list.iter()
                .map(|(path, text)| ((*path).to_owned(), (text.as_bytes().to_vec(), 0o644)))
                .collect()
        };
        write(dir.path(), &files(&[("a", "1"), ("d/b", "2")]), None).expect("write");
        let first = fs::read_link(dir.path().join("..data")).expect("link");
        assert_eq!(fs::read_to_string(dir.path().join("d/b")).expect("read"), "2");
        write(dir.path(), &files(&[("a", "1"), ("d/b", "2")]), None).expect("write again");
        assert_eq!(fs::read_link(dir.path().join("..data")).expect("link"), first);
        write(dir.path(), &files(&[("a", "3")]), None).expect("write");
        assert_eq!(fs::read_to_string(dir.path().join("a")).expect("read"), "3");
        assert!(fs::symlink_metadata(dir.path().join("d")).is_err());
        assert!(!dir.path().join(first).exists());
    }

    #[test]
    fn a_file_name_can_not_leave_the_volume() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for bad in ["../x", "/etc/x", "a/../../x", "..data"] {
            let files = [(bad.to_owned(), (vec![], 0o644))].into();
            assert!(write(dir.path(), &files, None).is_err(), "{bad}");
        }
    }
}
