//! Windows: questions to the system that std does not ask, each in one function.

use std::ffi::c_void;
use std::fs;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;

use windows_sys::Wdk::System::SystemInformation::{NtQuerySystemInformation, SystemTimeOfDayInformation};
use windows_sys::Win32::Security::Cryptography::{BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ALLOCATION_INFO, FileAllocationInfo, GetFileInformationByHandle,
    MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW, SetFileInformationByHandle,
};
use windows_sys::Win32::System::ProcessStatus::{
    K32QueryWorkingSetEx, PSAPI_WORKING_SET_EX_BLOCK, PSAPI_WORKING_SET_EX_INFORMATION,
};
use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// Volume, number, links and attributes of an open file.
pub(super) fn information(file: &fs::File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut facts = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the call needs an open handle and room for the answer; `file` is open and `facts` is a live value.
    done(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut facts) })?;
    Ok(facts)
}

/// Gives a file real space up to a length, without changing what it holds.
pub(super) fn allocate(file: &fs::File, len_bytes: u64) -> io::Result<()> {
    let wanted = FILE_ALLOCATION_INFO { AllocationSize: i64::try_from(len_bytes).unwrap_or(i64::MAX) };
    let bytes = size_of::<FILE_ALLOCATION_INFO>() as u32;
    // SAFETY: the call needs an open handle and the structure that belongs to the class; both live until it returns.
    done(unsafe {
        SetFileInformationByHandle(file.as_raw_handle(), FileAllocationInfo, (&raw const wanted).cast(), bytes)
    })
}

/// Renames over what is there, and returns when the change is on the device.
pub(super) fn move_through(from: &Path, to: &Path) -> io::Result<()> {
    let wide = |path: &Path| path.as_os_str().encode_wide().chain([0]).collect::<Vec<u16>>();
    let (from, to) = (wide(from), wide(to));
    // SAFETY: the call needs two texts that end in zero; both live until it returns.
    done(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) })
}

/// Which of these addresses are of pages that this process has in memory.
pub(super) fn in_memory(addresses: &[usize]) -> io::Result<Vec<bool>> {
    let question = |&address| PSAPI_WORKING_SET_EX_INFORMATION {
        VirtualAddress: std::ptr::without_provenance_mut(address),
        VirtualAttributes: PSAPI_WORKING_SET_EX_BLOCK { Flags: 0 },
    };
    let mut pages: Vec<_> = addresses.iter().map(question).collect();
    let bytes = u32::try_from(size_of_val(&pages[..])).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: takes nothing; the answer stands for the process and is not closed.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: the call needs `bytes` bytes of questions to answer in place; the addresses in them are not touched.
    done(unsafe { K32QueryWorkingSetEx(process, pages.as_mut_ptr().cast(), bytes) })?;
    let is_valid = |page: &PSAPI_WORKING_SET_EX_INFORMATION| {
        // SAFETY: every bit pattern of the union is a valid number.
        let flags = unsafe { page.VirtualAttributes.Flags };
        flags & 1 != 0
    };
    Ok(pages.iter().map(is_valid).collect())
}

/// Memory of the machine in bytes.
pub fn memory_bytes() -> Option<u64> {
    let mut status = MEMORYSTATUSEX { dwLength: size_of::<MEMORYSTATUSEX>() as u32, ..MEMORYSTATUSEX::default() };
    // SAFETY: the call needs room for the answer that says its own size; `status` is a live value that does.
    done(unsafe { GlobalMemoryStatusEx(&raw mut status) }).ok()?;
    Some(status.ullTotalPhys)
}

/// A number of this boot of the machine: the moment it began, in which no change of the clock shows. 0 if unknown.
pub(super) fn boot_id() -> u128 {
    // Moment of the boot, now, zone, its number, padding, and by how much the first was moved with the clock since.
    let mut answer = [0_u64; 6];
    let bytes = size_of_val(&answer) as u32;
    let room: *mut c_void = (&raw mut answer).cast();
    // SAFETY: the call needs `bytes` writable bytes for the answer, and takes a null where the length is not wanted.
    let status = unsafe { NtQuerySystemInformation(SystemTimeOfDayInformation, room, bytes, std::ptr::null_mut()) };
    if status == 0 { u128::from(answer[0].wrapping_sub(answer[4])) } else { 0 }
}

/// Fills `buffer` from the operating system's generator.
pub(crate) fn random_bytes(buffer: &mut [u8]) -> io::Result<()> {
    for part in buffer.chunks_mut(1 << 20) {
        let len = part.len() as u32;
        // SAFETY: with this flag the algorithm handle is null; `part` is `len` writable bytes, borrowed for the call.
        let status =
            unsafe { BCryptGenRandom(std::ptr::null_mut(), part.as_mut_ptr(), len, BCRYPT_USE_SYSTEM_PREFERRED_RNG) };
        if status != 0 {
            return Err(io::Error::other(format!("the system's random generator failed with status {status:#x}")));
        }
    }
    Ok(())
}

/// The result of a call that answers zero when it fails.
fn done(answer: i32) -> io::Result<()> {
    if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A number that is new in every process would make each look like a power cut to the next; zero would hide them all.
    #[test]
    fn the_boot_has_one_number() {
        assert_ne!(boot_id(), 0);
        assert_eq!(boot_id(), boot_id());
    }

    #[test]
    fn a_page_just_written_is_in_memory() {
        let page = vec![1_u8; 3 * 4096];
        assert_eq!(in_memory(&[page.as_ptr().addr() + 4096]).unwrap(), [true]);
        assert!(memory_bytes().unwrap() > 1 << 20);
    }
}
