//! Header blocks: pairs with 32-bit lengths, compressed by one zlib stream per direction with a dictionary known to both
//! (SPDY Draft 3.1, section 2.6.10.1).

use std::{collections::HashMap, io, sync::LazyLock};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// The words of the dictionary, each preceded by its length there.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language \
    accept-ranges age allow authorization cache-control connection content-base content-encoding content-language \
    content-length content-location content-md5 content-range content-type date etag expect expires from host if-match \
    if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
    proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
    user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie \
    keep-alive origin";

/// What follows the words, without lengths.
const TAIL: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 \
    Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 \
    Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept \
    Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
    application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch\
    charset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::new();
    for word in WORDS.split(' ') {
        bytes.extend_from_slice(&(word.len() as u32).to_be_bytes());
        bytes.extend_from_slice(word.replace('_', " ").as_bytes());
    }
    bytes.extend_from_slice(TAIL.as_bytes());
    bytes
});

/// A header block is small; one that inflates beyond this is an attack.
const MAX_BLOCK: usize = 64 * 1024;

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("SPDY headers: {what}"))
}

/// Their direction.
pub struct Decompressor(Decompress);

impl Decompressor {
    /// At the start of a connection.
    pub fn new() -> Self {
        Self(Decompress::new(true))
    }

    /// Names in lower case, and values.
    ///
    /// # Errors
    /// `InvalidData`; the connection can't go on after it.
    pub fn decompress(&mut self, block: &[u8]) -> io::Result<HashMap<String, String>> {
        let mut plain = Vec::with_capacity(1024);
        let mut input = block;
        loop {
            let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
            let result = self.0.decompress_vec(input, &mut plain, FlushDecompress::Sync);
            let consumed = usize::try_from(self.0.total_in() - before_in).unwrap_or_default();
            input = &input[consumed.min(input.len())..];
            match result {
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0
                        .set_dictionary(&DICTIONARY)
                        .map_err(|_| invalid("another dictionary"))?;
                }
                Err(_) => return Err(invalid("not a zlib stream")),
                Ok(_) => {
                    let made_progress = consumed > 0 || self.0.total_out() > before_out;
                    if input.is_empty() && plain.len() < plain.capacity() || !made_progress {
                        break;
                    }
                }
            }
            if plain.len() > MAX_BLOCK {
                return Err(invalid("too long"));
            }
            plain.reserve(1024);
        }
        parse(&plain)
    }
}

fn parse(plain: &[u8]) -> io::Result<HashMap<String, String>> {
    let mut rest = plain;
    let number = |rest: &mut &[u8]| -> io::Result<usize> {
        let (bytes, tail) = rest
            .split_first_chunk::<4>()
            .ok_or_else(|| invalid("cut short"))?;
        *rest = tail;
        Ok(u32::from_be_bytes(*bytes) as usize)
    };
    let count = number(&mut rest)?;
    let mut headers = HashMap::new();
    for _ in 0..count {
        let text = |rest: &mut &[u8]| -> io::Result<String> {
            let length = number(rest)?;
            if length > rest.len() {
                return Err(invalid("cut short"));
            }
            let (bytes, tail) = rest.split_at(length);
            *rest = tail;
            String::from_utf8(bytes.to_vec()).map_err(|_| invalid("not text"))
        };
        let name = text(&mut rest)?.to_lowercase();
        headers.insert(name, text(&mut rest)?);
    }
    Ok(headers)
}

/// Our direction.
pub struct Compressor {
    stream: Compress,
    has_dictionary: bool,
}

impl Compressor {
    /// At the start of a connection.
    pub fn new() -> Self {
        Self {
            stream: Compress::new(Compression::fast(), true),
            has_dictionary: false,
        }
    }

    /// A block of these headers, to be sent in this order.
    ///
    /// # Errors
    /// When the zlib stream fails, which it does not.
    pub fn compress(&mut self, headers: &[(&str, &str)]) -> io::Result<Vec<u8>> {
        if !self.has_dictionary {
            self.stream
                .set_dictionary(&DICTIONARY)
                .map_err(io::Error::other)?;
            self.has_dictionary = true;
        }
        let mut plain = Vec::new();
        plain.extend_from_slice(&(headers.len() as u32).to_be_bytes());
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&(text.len() as u32).to_be_bytes());
            plain.extend_from_slice(text.as_bytes());
        }
        // Room for incompressible input and the sync marker: one call takes it all.
        let mut block = Vec::with_capacity(plain.len() + plain.len() / 8 + 64);
        self.stream
            .compress_vec(&plain, &mut block, FlushCompress::Sync)
            .map_err(io::Error::other)?;
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_dictionary_is_the_one_of_the_protocol() {
        assert_eq!(DICTIONARY.len(), 1423);
        let adler = DICTIONARY.iter().fold((1_u32, 0_u32), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65521;
            (a, (b + a) % 65521)
        });
        // The identifier that zlib streams of this protocol carry.
        assert_eq!(adler.1 << 16 | adler.0, 0xe3c6_a7c2);
    }

    #[test]
    fn blocks_of_one_connection_build_on_each_other() {
        let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
        for round in 0..20 {
            let id = round.to_string();
            let block = compressor
                .compress(&[("streamType", "data"), ("port", "80"), ("requestID", &id)])
                .unwrap();
            let headers = decompressor.decompress(&block).unwrap();
            assert_eq!(headers["streamtype"], "data");
            assert_eq!(headers["requestid"], id);
        }
        let block = compressor.compress(&[]).unwrap();
        assert!(decompressor.decompress(&block).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_headers_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Decompressor::new().decompress(&bytes);
            let _ = parse(&bytes);
        }

        #[test]
        fn long_headers_come_out_as_they_went_in(value in "[a-z]{0,5000}") {
            let block = Compressor::new().compress(&[("k", &value)]).unwrap();
            let headers = Decompressor::new().decompress(&block).unwrap();
            prop_assert_eq!(&headers["k"], &value);
        }
    }
}
