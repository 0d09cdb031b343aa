//! Telling whoever started us that we serve: the protocol of sd_notify(3), so that systemd understands it too.

use std::{io, os::unix::net::UnixDatagram, path::Path};

/// Sends `READY=1` to `$NOTIFY_SOCKET`, if there is one.
pub fn ready() -> io::Result<()> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|p| !p.is_empty()) else {
        return Ok(());
    };
    let socket = UnixDatagram::unbound()?;
    match path.to_str().and_then(|p| p.strip_prefix('@')) {
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(b"READY=1", &address)?;
        }
        None => {
            socket.send_to(b"READY=1", Path::new(&path))?;
        }
    }
    Ok(())
}
