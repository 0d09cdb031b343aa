# Sourced by quickstart and test: makes sure that Debian packages are installed.

# need_packages PACKAGE...: installs the missing ones as root; tells an ordinary user the one command.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "Some packages are missing. Install them with" >&2
        echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
        echo "and start this again." >&2
        exit 1
    fi
    echo "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# need_cargo: a Rust toolchain must be there already.
need_cargo() {
    command -v cargo >/dev/null && return 0
    [ -r "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
    command -v cargo >/dev/null && return 0
    echo "There is no Rust toolchain: 'sudo apt-get install rustup && rustup toolchain install 1.95.0'" >&2
    echo "(Debian 13 and later), or follow the installation page of the Rust project." >&2
    exit 1
}
