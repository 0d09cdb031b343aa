//! A registry with the images of the tests.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use anyhow::{Context, Result, ensure};

use crate::{Netns, cluster::free_port, eventually, need, user::target_dir};

/// A `docker-registry` on loopback; it ends with its last user.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    /// The host's network namespace, or another one.
    netns: Option<Netns>,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

/// What changes the images: they are made again when it changes.
const RECIPE: &str = include_str!("../lib/hello-image.sh");

/// Whom [`Registry::private`] lets in, as `htpasswd -B` writes it: user `someone`, password `secret`.
const ACCOUNT: &str = "someone:$2b$04$bnAHpLPGmOIKFMy8cMdRnu4pPvqLB7Az11JFknx64Y.VZSnlC6q5e\n";

impl Registry {
    /// A registry of its own with the same images, for the user `someone` with the password `secret` only.
    pub fn private() -> Result<Self> {
        // Makes the images.
        let _open = Self::shared()?;
        Self::start(true, None, loopback()?)
    }

    /// A registry of its own with the same images in a network namespace, at port 5000 of this address there.
    pub(crate) fn in_network(netns: &Netns, address: Ipv4Addr) -> Result<Self> {
        let _filled = Self::shared()?;
        Self::start(false, Some(netns.clone()), (address, 5000).into())
    }

    /// The registry of this test run. The images are made once and kept under Cargo's target folder.
    ///
    /// # Errors
    /// [`Unmet`](crate::Unmet) when a program it takes is not installed.
    pub fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Registry>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registry) = shared.upgrade() {
            return Ok(registry);
        }
        let registry = Arc::new(Self::start(false, None, loopback()?)?);
        *shared = Arc::downgrade(&registry);
        Ok(registry)
    }

    fn start(private: bool, netns: Option<Netns>, address: SocketAddr) -> Result<Self> {
        let program = need("docker-registry")?;
        for other in ["umoci", "skopeo"] {
            need(other)?;
        }
        let recipe = RECIPE
            .bytes()
            .fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let store = target_dir().join(format!("test-images/{recipe:x}"));
        fs::create_dir_all(&store).with_context(|| format!("make {store:?}"))?;
        let store = fs::canonicalize(store)?;
        let dir = tempfile::Builder::new().prefix("skiff-registry-").tempdir()?;
        let config = dir.path().join("config.yml");
        let mut text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n",
            store.join("registry").display()
        );
        if private {
            let accounts = dir.path().join("accounts");
            fs::write(&accounts, ACCOUNT)?;
            text.push_str(&format!(
                "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                accounts.display()
            ));
        }
        fs::write(&config, text)?;
        let mut command = Command::new(program);
        command.arg("serve").arg(&config);
        if let Some(netns) = &netns {
            command = netns.wrap(&command);
        }
        let process = command
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log"))?)
            .spawn()
            .context("start docker-registry")?;
        let registry = Self {
            process,
            netns,
            address,
            _dir: dir,
        };
        let status = if private { " 401 " } else { " 200 " };
        eventually("the registry", || registry.ask("/v2/", status))?;
        if !private && registry.netns.is_none() {
            registry.fill(&store)?;
        }
        Ok(registry)
    }

    /// Pushes the images unless an earlier run did.
    fn fill(&self, store: &Path) -> Result<()> {
        let lock = fs::File::create(store.join("lock"))?;
        lock.lock()?;
        let done = store.join("done");
        if done.exists() {
            return Ok(());
        }
        let work = tempfile::tempdir()?;
        for (tag, text) in [("v1", "Hello"), ("v2", "Bye")] {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("lib/hello-image.sh");
            let mut command = Command::new("bash");
            command
                .arg(script)
                .arg(work.path())
                .arg(self.reference(tag))
                .arg(text);
            crate::run(&mut command)?.ok().context("make the image")?;
        }
        fs::write(done, "")?;
        Ok(())
    }

    fn ask(&self, path: &str, status: &str) -> Result<()> {
        let connect = || TcpStream::connect(self.address);
        let mut stream = match &self.netns {
            Some(netns) => netns.inside(connect),
            None => connect(),
        }?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.contains(status), "{answer}");
        Ok(())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Name of the image with this tag.
    pub fn reference(&self, tag: &str) -> String {
        format!("{}/hello:{tag}", self.address())
    }
}

/// A free port of loopback.
fn loopback() -> Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, free_port()?).into())
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
