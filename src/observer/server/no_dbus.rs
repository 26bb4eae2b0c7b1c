//! libpcap can also capture D-Bus messages. That needs a library of which Debian has no complete static
//! version, and netlab is linked statically: these two functions stand in for it and find nothing.

#![allow(unsafe_code)]

#[cfg(target_feature = "crt-static")]
use std::ffi::{c_char, c_int, c_void};

/// Makes sure that a linker which includes only referenced objects includes these two.
pub fn keep() {
    #[cfg(target_feature = "crt-static")]
    std::hint::black_box((
        dbus_create as extern "C" fn(_, _, _) -> _,
        dbus_findalldevs as extern "C" fn(_, _) -> _,
    ));
}

/// "Not a D-Bus device".
#[cfg(target_feature = "crt-static")]
#[unsafe(no_mangle)]
extern "C" fn dbus_create(_device: *const c_char, _error: *mut c_char, is_ours: *mut c_int) -> *mut c_void {
    if !is_ours.is_null() {
        // SAFETY: libpcap passes the address of its own int.
        unsafe { is_ours.write(0) };
    }
    std::ptr::null_mut()
}

/// No D-Bus devices, and no error.
#[cfg(target_feature = "crt-static")]
#[unsafe(no_mangle)]
extern "C" fn dbus_findalldevs(_devices: *mut c_void, _error: *mut c_char) -> c_int {
    0
}
