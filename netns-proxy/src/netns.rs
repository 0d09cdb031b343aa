//! Threads that live in a network namespace and make sockets there.
#![allow(unused_variables, clippy::unimplemented)]

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
    sync::Arc,
};

/// A network namespace with a thread in it that makes sockets on request. The thread ends with the last handle.
pub struct Namespace {
    _inner: (),
}

impl Namespace {
    /// Starts a thread that enters the namespace behind `netns` (an open `/proc/<pid>/ns/net` or bind mount).
    pub fn enter(name: &str, netns: OwnedFd) -> io::Result<Arc<Self>> {
        unimplemented!()
    }

    /// The namespace of the calling thread.
    pub fn current(name: &str) -> io::Result<Arc<Self>> {
        unimplemented!()
    }

    /// Runs `work` on the namespace's thread and returns what it returns (for rtnetlink, sysctls, odd sockets).
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        unimplemented!()
    }

    /// The same for callers outside of async code.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        unimplemented!()
    }

    /// A listening TCP socket, non-blocking.
    pub async fn tcp_listener(&self, address: SocketAddr) -> io::Result<TcpListener> {
        unimplemented!()
    }

    /// A connected TCP stream, optionally from a given source address.
    pub async fn tcp_connect(
        &self,
        to: SocketAddr,
        from: Option<SocketAddr>,
    ) -> io::Result<tokio::net::TcpStream> {
        unimplemented!()
    }

    /// A bound UDP socket, non-blocking.
    pub async fn udp_socket(&self, bind: SocketAddr) -> io::Result<UdpSocket> {
        unimplemented!()
    }
}
