//! Ports and networks, checked when they are built.

use std::net::IpAddr;

/// A port from 1 to 65535.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port(u16);

impl Port {
    /// Where sshd listens by default.
    pub const SSH: Self = Self(22);

    /// `None` for 0 and everything above 65535.
    pub fn new(number: i64) -> Option<Self> {
        u16::try_from(number).ok().filter(|&port| port != 0).map(Self)
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// A network without host bits; a single address is a /32 or /128.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `ADDRESS` or `ADDRESS/PREFIX`; the error is a sentence part that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| "must be a network such as 10.0.20.0/24 or 2001:db8::/64".to_owned())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) => digits
                .parse::<u8>()
                .ok()
                .filter(|&prefix| prefix <= width && !digits.starts_with('+'))
                .ok_or_else(|| format!("must have a prefix length from 0 to {width}"))?,
        };
        let network = Self { address, prefix }.masked();
        if network.address != address {
            return Err(format!("has host bits set; the network is {network}"));
        }
        Ok(network)
    }

    /// The network of `prefix` bits that holds `address`.
    pub fn containing(address: IpAddr, prefix: u8) -> Self {
        Self { address, prefix }.masked()
    }

    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
                IpAddr::V4((u32::from(v4) & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix.min(128))).unwrap_or(0);
                IpAddr::V6((u128::from(v6) & mask).into())
            }
        };
        Self { address, prefix: self.prefix }
    }

    /// First address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Number of leading bits that count.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `address` lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && Self::containing(address, self.prefix).address == self.address
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}
