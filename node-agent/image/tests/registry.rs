//! Against a real registry and real tools: docker-registry, umoci, skopeo.

use std::{
    io::Read,
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use skiff_image::{Config, Credentials, Error, ImageStore};

struct Registry {
    child: Child,
    address: String,
    _dir: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}/data}}}}\nhttp: {{addr: \"{address}\"}}\n",
            dir.path().display()
        );
        let path = dir.path().join("config.yml");
        std::fs::write(&path, config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is installed");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(
                std::time::Instant::now() < deadline,
                "the registry does not listen"
            );
            std::thread::yield_now();
        }
        Self {
            child,
            address,
            _dir: dir,
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a test can't run here, which it says; under CI it must. `unpacks`: layers are, with the owners of their files, which
/// an ordinary user can set in the agent's user namespace only (and does, in the end-to-end tests).
fn is_skipped(unpacks: bool) -> bool {
    let is_missing = |tool: &&str| {
        !Command::new("sh")
            .args(["-c", &format!("command -v {tool} >/dev/null")])
            .status()
            .is_ok_and(|s| s.success())
    };
    let tools = ["docker-registry", "umoci", "skopeo"];
    let unmet = tools
        .iter()
        .find(|tool| is_missing(tool))
        .map(|tool| format!("{tool} is not installed"))
        .or_else(|| {
            (unpacks && !nix::unistd::getuid().is_root()).then(|| "only root can set owners here".into())
        });
    if let Some(why) = &unmet {
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("skipped: {why}");
    }
    unmet.is_some()
}

/// Builds the example image; returns its OCI layout.
fn build(dir: &Path, push_to: &str, text: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lib/hello-image.sh");
    let output = Command::new("bash")
        .arg(script)
        .arg(dir)
        .args([push_to, text])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    dir.join("layout")
}

fn store(dir: &Path) -> ImageStore {
    ImageStore::open(Config {
        dir: dir.join("store"),
        insecure_registries: Vec::new(),
        mirrors: Vec::new(),
        user_xattr: false,
    })
    .unwrap()
}

#[tokio::test]
async fn an_image_is_pulled_once_found_and_removed() {
    if is_skipped(true) {
        return;
    }
    let registry = Registry::start();
    let dir = tempfile::tempdir().unwrap();
    let name = format!("{}/hello:v1", registry.address);
    build(dir.path(), &name, "Hello");
    let store = store(dir.path());
    assert_eq!(store.find(&name).unwrap(), None);

    // Many at once: the layers are unpacked once, everybody gets the image.
    let pulls = (0..8).map(|_| store.pull(&name, &Credentials::Anonymous));
    let images = futures::future::try_join_all(pulls).await.unwrap();
    let image = images[0].clone();
    assert_eq!(image.process.entrypoint, ["/bin/serve"]);
    assert_eq!(image.process.working_dir, "/");
    assert_eq!(image.tags, std::slice::from_ref(&name));
    let busybox = image.layers.last().unwrap().join("bin/busybox");
    assert!(std::fs::metadata(&busybox).unwrap().size() > 100_000);
    assert_eq!(
        std::fs::read_dir(dir.path().join("store/layers"))
            .unwrap()
            .count(),
        image.layers.len()
    );

    assert_eq!(store.find(&name).unwrap().as_ref(), Some(&image));
    assert_eq!(
        store.find(&image.digests[0]).unwrap().as_ref(),
        Some(&image),
        "by digest"
    );
    // By digest from the registry too, into another store.
    let other = tempfile::tempdir().unwrap();
    let by_digest = self::store(other.path())
        .pull(&image.digests[0], &Credentials::Anonymous)
        .await
        .unwrap();
    assert_eq!(by_digest.id, image.id);
    assert!(by_digest.tags.is_empty());

    store.remove(&name).unwrap();
    assert_eq!(store.find(&name).unwrap(), None);
    assert_eq!(
        std::fs::read_dir(dir.path().join("store/layers"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn what_is_not_there_is_said_in_so_many_words() {
    if is_skipped(false) {
        return;
    }
    let registry = Registry::start();
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let missing = format!("{}/nothing:v1", registry.address);
    assert!(matches!(
        store.pull(&missing, &Credentials::Anonymous).await,
        Err(Error::NotFound { .. })
    ));
    let address = registry.address.clone();
    drop(registry);
    let down = store
        .pull(&format!("{address}/hello:v1"), &Credentials::Anonymous)
        .await;
    assert!(matches!(down, Err(Error::Pull { .. })), "{down:?}");
    let invalid = store.pull("Not A Name", &Credentials::Anonymous).await;
    assert!(matches!(invalid, Err(Error::InvalidName { .. })));
}

#[tokio::test]
async fn layouts_and_archives_are_imported() {
    if is_skipped(true) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let layout = build(dir.path(), "-", "Hello");
    let copy = |to: &str| {
        let from = format!("oci:{}:v1", layout.display());
        let status = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "-q", &from, to])
            .status()
            .unwrap();
        assert!(status.success());
    };
    let docker = dir.path().join("docker.tar");
    copy(&format!("docker-archive:{}:example/hello:v2", docker.display()));
    let oci = dir.path().join("oci.tar");
    copy(&format!("oci-archive:{}", oci.display()));

    let store = store(dir.path());
    let error = store.import(&layout, None).await.unwrap_err();
    assert!(format!("{error:?}").contains("--name"), "{error:?}");
    let from_layout = store.import(&layout, Some("example/hello:v1")).await.unwrap();
    let from_docker = store.import(&docker, None).await.unwrap();
    let from_oci = store.import(&oci, Some("example/hello:v3")).await.unwrap();
    assert_eq!(
        from_layout[0].layers, from_docker[0].layers,
        "one layer, unpacked once"
    );
    assert_eq!(from_layout[0].layers, from_oci[0].layers);
    for name in ["example/hello:v1", "example/hello:v2", "example/hello:v3"] {
        assert_eq!(
            store.find(name).unwrap().unwrap().process.entrypoint,
            ["/bin/serve"],
            "{name}"
        );
    }
    assert!(store.import(&dir.path().join("absent"), None).await.is_err());
    std::fs::write(dir.path().join("text"), "hello").unwrap();
    assert!(
        store
            .import(&dir.path().join("text"), Some("x/y:z"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_layer_with_other_content_than_its_digest_is_refused() {
    if is_skipped(true) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let layout = build(dir.path(), "-", "Hello");
    // The largest blob is the layer: make it another valid tar.
    let blobs = std::fs::read_dir(layout.join("blobs/sha256")).unwrap().flatten();
    let layer = blobs.max_by_key(|b| b.metadata().unwrap().size()).unwrap().path();
    let mut header = tar::Header::new_gnu();
    header.set_path("etc/passwd").unwrap();
    header.set_size(4);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    let mut other = tar::Builder::new(Vec::new());
    other.append(&header, &b"evil"[..]).unwrap();
    std::fs::write(&layer, other.into_inner().unwrap()).unwrap();
    let store = store(dir.path());
    let error = store.import(&layout, Some("example/hello:v1")).await.unwrap_err();
    assert!(format!("{error:?}").contains("digest"), "{error:?}");
    assert_eq!(
        std::fs::read_dir(dir.path().join("store/layers"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn what_a_crash_left_half_unpacked_is_removed_at_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    let stale = dir.path().join("store/tmp/process-stale/layer-x");
    std::fs::create_dir_all(&stale).unwrap();
    std::fs::write(dir.path().join("store/tmp/process-stale/lock"), "").unwrap();
    let open = store(dir.path());
    assert!(!stale.exists());
    // A second store beside it leaves the first one's part alone.
    let second = store(dir.path());
    assert_eq!(
        std::fs::read_dir(dir.path().join("store/tmp")).unwrap().count(),
        2
    );
    drop((open, second));
    assert_eq!(
        std::fs::read_dir(dir.path().join("store/tmp")).unwrap().count(),
        0
    );
    let mut text = String::new();
    std::fs::File::open(dir.path().join("store/lock"))
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
}
