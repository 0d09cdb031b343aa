//! The stock `kubectl`.

use std::path::{Path, PathBuf};

/// A command line: one string that is split at white space, or the words themselves.
pub trait Words {
    /// The words.
    fn words(&self) -> Vec<String>;
}

impl Words for &str {
    fn words(&self) -> Vec<String> {
        self.split_whitespace().map(str::to_owned).collect()
    }
}

impl Words for String {
    fn words(&self) -> Vec<String> {
        self.as_str().words()
    }
}

impl<const N: usize> Words for [&str; N] {
    fn words(&self) -> Vec<String> {
        self.iter().map(|word| (*word).to_owned()).collect()
    }
}

impl Words for &[String] {
    fn words(&self) -> Vec<String> {
        self.to_vec()
    }
}

impl Words for Vec<String> {
    fn words(&self) -> Vec<String> {
        self.clone()
    }
}

impl Words for &[&str] {
    fn words(&self) -> Vec<String> {
        self.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// The versions of kubectl on this machine beside the one in `PATH`, ascending: programs named `kubectl.1.N`, as some
/// distributions install them. Empty on most machines.
pub fn kubectl_versions() -> Vec<(String, PathBuf)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/lib/google-cloud-sdk/bin".into()]);
    let mut found: Vec<(u32, PathBuf)> = folders.flat_map(|folder| versions_in(&folder)).collect();
    found.sort();
    found.dedup_by_key(|(minor, _)| *minor);
    found
        .into_iter()
        .map(|(minor, path)| (format!("1.{minor}"), path))
        .collect()
}

fn versions_in(folder: &Path) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let versions = entries.filter_map(|entry| {
        let minor = entry
            .file_name()
            .to_str()?
            .strip_prefix("kubectl.1.")?
            .parse()
            .ok()?;
        Some((minor, entry.path()))
    });
    versions.collect()
}
