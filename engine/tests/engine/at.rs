//! Reads and writes at an offset of a file, for tests that damage what is stored.

#[cfg(unix)]
pub(crate) use std::os::unix::fs::FileExt;

#[cfg(windows)]
pub(crate) trait FileExt {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()>;
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()>;
}

#[cfg(windows)]
impl FileExt for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        let count = std::os::windows::fs::FileExt::seek_read(self, buffer, offset)?;
        if count == buffer.len() { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        let count = std::os::windows::fs::FileExt::seek_write(self, bytes, offset)?;
        if count == bytes.len() { Ok(()) } else { Err(std::io::ErrorKind::WriteZero.into()) }
    }
}
