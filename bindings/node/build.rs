fn main() {
    napi_build::setup();
    // Our threads outlive a Node environment: the library must stay mapped when a worker that loaded it ends.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
