//! Servers that cost as little as a server can: threads that block, each with one connection at a time.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    sync::Arc,
    thread,
};

use anyhow::Result;

use crate::Kind;

/// Connections served at once, per kind.
const THREADS: usize = 80;

/// Starts all servers of the calling process's network namespace; ends with stdin.
pub fn run() -> Result<()> {
    start(Kind::Sink, |stream| {
        let mut buffer = vec![0; 256 * 1024];
        while stream.read(&mut buffer)? > 0 {}
        Ok(())
    })?;
    start(Kind::Echo, |stream| {
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                count => stream.write_all(&buffer[..count])?,
            }
        }
    })?;
    start(Kind::Http, |stream| {
        let mut buffer = [0; 4096];
        // A request of the load generators comes in one piece.
        while stream.read(&mut buffer)? > 0 {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, world\n")?;
        }
        Ok(())
    })?;
    let socket = Arc::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, Kind::Udp as u16))?);
    for _ in 0..4 {
        let socket = Arc::clone(&socket);
        thread::spawn(move || -> io::Result<()> {
            let mut buffer = [0; 2048];
            loop {
                if let Ok((count, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..count], from);
                }
            }
        });
    }
    let idle = TcpListener::bind((Ipv4Addr::UNSPECIFIED, Kind::Idle as u16))?;
    thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = idle.accept() {
            // What has ended makes room when the next round begins.
            if kept.len() > 1024 && peer_is_gone(&kept[0]) {
                kept.clear();
            }
            kept.push(stream);
        }
    });
    println!("ready");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn peer_is_gone(mut stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    matches!(stream.read(&mut [0; 16]), Ok(0)) || matches!(stream.read(&mut [0; 1]), Ok(0))
}

fn start(kind: Kind, serve: fn(&mut TcpStream) -> io::Result<()>) -> Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::UNSPECIFIED, kind as u16)).into())?;
    socket.listen(4096)?;
    let listener = Arc::new(TcpListener::from(socket));
    for _ in 0..THREADS {
        let listener = Arc::clone(&listener);
        thread::Builder::new().stack_size(512 * 1024).spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.set_nodelay(true);
                let _ = serve(&mut stream);
            }
        })?;
    }
    Ok(())
}
