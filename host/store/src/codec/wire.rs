//! The primitives of stored bytes: varints, length-prefixed bytes, and blocks.
//!
//! A *block* is a length and that many bytes of fields. A reader takes the fields that it knows and skips the rest, so that a
//! later release can add fields at the end without a new format version.

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bad {
    /// They end too early.
    Truncated,
    /// They cannot have been written by any release.
    Malformed(&'static str),
    /// A later release wrote them.
    Newer { found: u64, known: u64 },
}

pub(super) type Result<T> = std::result::Result<T, Bad>;

/// Writes fields, one after the other.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// LEB128: seven bits in a byte, the lowest first.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Zigzag: numbers near zero, of either sign, are short.
    pub fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    /// A fixed number of bytes.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.raw(text.as_bytes());
    }

    pub fn flag(&mut self, flag: bool) {
        self.byte(flag.into());
    }

    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub fn block(&mut self, write: impl FnOnce(&mut Self)) {
        // Most blocks are short: their length takes one byte, and only longer ones are moved to make room for more.
        let start = self.0.len();
        self.0.push(0);
        write(self);
        let length = self.0.len() - start - 1;
        if length < 0x80 {
            self.0[start] = length as u8;
            return;
        }
        let mut prefix = Writer::default();
        prefix.number(length as u64);
        self.0.splice(start..start + 1, prefix.0);
    }
}

/// Reads fields in the order in which they were written. Allocates nothing, and trusts no length that it reads.
#[derive(Clone)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> Result<u8> {
        let (&byte, rest) = self.0.split_first().ok_or(Bad::Truncated)?;
        self.0 = rest;
        Ok(byte)
    }

    pub fn number(&mut self) -> Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(Bad::Malformed("a number exceeds 64 bits"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Bad::Malformed("a number exceeds 64 bits"))
    }

    pub fn number32(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| Bad::Malformed("a number exceeds 32 bits"))
    }

    pub fn signed(&mut self) -> Result<i64> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub fn raw<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(Bad::Truncated)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub fn text(&mut self) -> Result<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| Bad::Malformed("a text is not UTF-8"))
    }

    pub fn flag(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Bad::Malformed("a flag is neither 0 nor 1")),
        }
    }

    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    /// Reads fields that a later release added at the end. None: an earlier release wrote this.
    pub fn added<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if self.is_empty() { Ok(None) } else { read(self).map(Some) }
    }

    pub fn block(&mut self) -> Result<Reader<'a>> {
        self.bytes().map(Reader)
    }

    /// The number of bytes left.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A reader from this offset on.
    pub fn at(&self, bytes: usize) -> Result<Self> {
        self.0.get(bytes..).map(Self).ok_or(Bad::Truncated)
    }

    /// Skips a text or a block.
    pub fn skip(&mut self) -> Result<()> {
        self.bytes().map(drop)
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.number()?).map_err(|_| Bad::Truncated)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Bad::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_what_was_written() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut writer = Writer::default();
            writer.number(number);
            writer.signed(number as i64);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.number(), Ok(number));
            assert_eq!(reader.signed(), Ok(number as i64));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        let too_long = Bad::Malformed("a number exceeds 64 bits");
        assert_eq!(Reader::new(&[0xff; 9]).number(), Err(Bad::Truncated));
        assert_eq!(Reader::new(&[0xff; 20]).number(), Err(too_long.clone()));
        let mut just_over = [0x80; 10];
        just_over[9] = 0x02;
        assert_eq!(Reader::new(&just_over).number(), Err(too_long));
    }

    #[test]
    fn unknown_fields_at_the_end_of_a_block_are_skipped() {
        for extra in [0, 1, 126, 127, 128, 40_000] {
            let mut writer = Writer::default();
            writer.block(|w| {
                w.text("known");
                w.raw(&vec![7; extra]);
            });
            writer.byte(9);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.block().and_then(|mut block| block.text()), Ok("known"));
            assert_eq!(reader.byte(), Ok(9));
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_refused_without_allocating() {
        let mut writer = Writer::default();
        writer.number(u64::MAX);
        assert_eq!(Reader::new(&writer.finish()).text(), Err(Bad::Truncated));
    }
}
