//! One or three members in this process, with plain TCP on loopback between them.

use std::{
    collections::HashMap,
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::mpsc,
    time::Duration,
};

use bytes::Bytes;
use skiff_raft::{
    MemberChange, Transport, decode, encode,
    eraftpb::{ConfChangeSingle, ConfChangeType, Message},
};
use skiff_store::{Config, FirstStart, Store};

/// Opens them; the first one leads.
pub async fn open(dir: &Path, count: u64) -> anyhow::Result<Vec<Store>> {
    let mut listeners = Vec::new();
    for id in 1..=count {
        listeners.push((id, TcpListener::bind("127.0.0.1:0")?));
    }
    let mut addresses = HashMap::new();
    for (id, listener) in &listeners {
        addresses.insert(*id, listener.local_addr()?);
    }
    let mut stores = Vec::new();
    for (id, listener) in listeners {
        let config = Config {
            member: id,
            first_start: if id == 1 {
                FirstStart::Alone
            } else {
                FirstStart::Join
            },
            ..Config::new(dir.join(id.to_string()))
        };
        let others = addresses.iter().filter(|(other, _)| **other != id);
        let wires = Wires(others.map(|(other, address)| (*other, wire(*address))).collect());
        let store = Store::open_with(config, wires).await?;
        serve(listener, store.clone());
        stores.push(store);
    }
    for id in 2..=count {
        let mut change = MemberChange::default();
        let mut single = ConfChangeSingle::default();
        single.set_change_type(ConfChangeType::AddNode);
        single.node_id = id;
        change.changes.push(single);
        stores[0].change_members(change).await?;
    }
    // Everybody is there, and caught up.
    for store in &stores {
        while store.read_barrier().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(stores)
}

struct Wires(HashMap<u64, mpsc::Sender<Message>>);

impl Transport for Wires {
    fn send(&mut self, message: Message) {
        if let Some(wire) = self.0.get(&message.to) {
            wire.send(message).ok();
        }
    }
}

/// Sends what has queued up with one write.
fn wire(address: SocketAddr) -> mpsc::Sender<Message> {
    let (sender, messages) = mpsc::channel::<Message>();
    std::thread::spawn(move || {
        let mut stream: Option<TcpStream> = None;
        let mut out = Vec::new();
        while let Ok(first) = messages.recv() {
            out.clear();
            for message in std::iter::once(first).chain(messages.try_iter()) {
                let start = out.len();
                out.extend_from_slice(&[0; 4]);
                if encode(&message, &mut out).is_err() {
                    out.truncate(start);
                    continue;
                }
                let length = (out.len() - start - 4) as u32;
                out[start..start + 4].copy_from_slice(&length.to_le_bytes());
            }
            if stream.is_none() {
                stream = TcpStream::connect(address).ok();
                stream.iter().for_each(|stream| drop(stream.set_nodelay(true)));
            }
            // Raft sends again what is lost.
            if stream
                .as_mut()
                .is_none_or(|stream| stream.write_all(&out).is_err())
            {
                stream = None;
            }
        }
    });
    sender
}

fn serve(listener: TcpListener, store: Store) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let store = store.clone();
            std::thread::spawn(move || {
                let mut stream = BufReader::with_capacity(64 << 10, stream);
                let mut length = [0; 4];
                while stream.read_exact(&mut length).is_ok() {
                    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
                    if stream.read_exact(&mut bytes).is_err() {
                        return;
                    }
                    if let Ok(message) = decode(&Bytes::from(bytes)) {
                        store.receive(message);
                    }
                }
            });
        }
    });
}
