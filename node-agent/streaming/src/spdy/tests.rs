use tokio::io::{AsyncReadExt, duplex};

use super::*;

/// Opens a stream as a client.
fn open(compressor: &mut Compressor, id: u32, kind: &str) -> Vec<u8> {
    frame::syn_stream(id, &compressor.compress(&[("streamType", kind)]).unwrap())
}

#[tokio::test]
async fn streams_carry_bytes_both_ways_and_close_one_by_one() {
    let (mut client, server) = duplex(1 << 20);
    let mut connection = Connection::start(server);
    let mut compressor = Compressor::new();
    client
        .write_all(&open(&mut compressor, 1, "error"))
        .await
        .unwrap();
    client.write_all(&open(&mut compressor, 3, "data")).await.unwrap();
    client.write_all(&frame::data(3, b"hello", false)).await.unwrap();
    client.write_all(&frame::data(3, b" world", true)).await.unwrap();
    let error = connection.accept().await.unwrap();
    let mut data = connection.accept().await.unwrap();
    assert_eq!(error.header("streamtype"), Some("error"));
    assert_eq!(data.header("streamtype"), Some("data"));
    assert_eq!(data.receive().await.unwrap(), "hello");
    assert_eq!(data.receive().await.unwrap(), " world");
    assert_eq!(data.receive().await, None);
    data.writer().reply().await.unwrap();
    let long = vec![7; 2 * MAX_DATA + 1];
    data.writer().send(&long, true).await.unwrap();
    error.writer().close_connection().await.unwrap();
    let mut sent = Vec::new();
    client.read_to_end(&mut sent).await.unwrap();
    let mut rest = &sent[..];
    assert_eq!(
        frame::read(&mut rest).await.unwrap(),
        Some(Frame::Other),
        "the reply"
    );
    let mut received = 0;
    loop {
        match frame::read(&mut rest).await.unwrap().unwrap() {
            Frame::Data { id: 3, fin, bytes } => {
                received += bytes.len();
                if fin {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, long.len());
    assert_eq!(frame::read(&mut rest).await.unwrap(), Some(Frame::GoAway));
}

#[tokio::test]
async fn pings_are_echoed_and_another_version_ends_the_connection() {
    let (mut client, server) = duplex(1024);
    let mut connection = Connection::start(server);
    client.write_all(&frame::ping(&[0, 0, 0, 1])).await.unwrap();
    let mut echo = [0; 12];
    client.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo[8..], [0, 0, 0, 1]);
    client.write_all(&[0x80, 2, 0, 1, 0, 0, 0, 0]).await.unwrap();
    assert!(connection.accept().await.is_none());
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_and_the_others_go_on() {
    let (mut client, server) = duplex(1024);
    let mut connection = Connection::start(server);
    let mut compressor = Compressor::new();
    client.write_all(&open(&mut compressor, 1, "data")).await.unwrap();
    client.write_all(&open(&mut compressor, 3, "data")).await.unwrap();
    client
        .write_all(&[0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 5])
        .await
        .unwrap();
    client.write_all(&frame::data(3, b"on", false)).await.unwrap();
    let mut first = connection.accept().await.unwrap();
    let mut second = connection.accept().await.unwrap();
    assert_eq!(first.receive().await, None);
    assert_eq!(second.receive().await.unwrap(), "on");
}
