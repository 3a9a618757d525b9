//! How much feedback is taken: a token bucket for the whole server, and one for each client whose address is known.
//!
//! A bucket holds the tokens of a minute and is filled evenly, so that a person may give several at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName};

/// Tokens of one bucket.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The buckets.
#[derive(Debug)]
pub struct Rate {
    all: Bucket,
    clients: HashMap<IpAddr, Bucket>,
    per_minute: f64,
    per_address: f64,
}

impl Bucket {
    fn filled(self, per_minute: f64, now: Instant) -> Self {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        Self { tokens: (self.tokens + since * per_minute / 60.0).min(per_minute), at: now }
    }

    /// Until it has a token.
    fn wait(self, per_minute: f64) -> Duration {
        Duration::from_secs_f64((1.0 - self.tokens).max(0.0) * 60.0 / per_minute)
    }
}

impl Rate {
    /// Full buckets of so many tokens.
    pub fn new(per_minute: u32, per_address: u32, now: Instant) -> Self {
        let (per_minute, per_address) = (f64::from(per_minute), f64::from(per_address));
        Self { all: Bucket { tokens: per_minute, at: now }, clients: HashMap::new(), per_minute, per_address }
    }

    /// Takes a token of the server, and one of the client's.
    ///
    /// # Errors
    /// How long to wait; no token is taken then.
    pub fn take(&mut self, client: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        self.all = self.all.filled(self.per_minute, now);
        let client = client.map(network).map(|client| {
            let full = Bucket { tokens: self.per_address, at: now };
            (client, self.clients.get(&client).map_or(full, |own| own.filled(self.per_address, now)))
        });
        let own = client.map_or(Duration::ZERO, |(_, own)| own.wait(self.per_address));
        let wait = own.max(self.all.wait(self.per_minute));
        if !wait.is_zero() {
            return Err(wait);
        }
        self.all.tokens -= 1.0;
        if let Some((client, own)) = client {
            // A bucket that is full again need not be remembered. Of the others there are no more than tokens were taken in a minute.
            let (per_address, full) = (self.per_address, self.per_address - f64::EPSILON);
            self.clients.retain(|_, other| other.filled(per_address, now).tokens < full);
            self.clients.insert(client, Bucket { tokens: own.tokens - 1.0, ..own });
        }
        Ok(())
    }
}

/// What a person has one of: an address, or a network of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.into(),
            None => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        },
        address @ IpAddr::V4(_) => address,
    }
}

/// The client's address in the header that a proxy writes; the last one if there are several, because the others may be the client's own.
pub fn client(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let text = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    let last = text.rsplit(',').next()?.trim();
    let bare = last.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| last.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_tokens_may_go_at_once_and_come_back_evenly() {
        let start = Instant::now();
        let mut rate = Rate::new(6, 100, start);
        let taken = (0..10).filter(|_| rate.take(None, start).is_ok()).count();
        assert_eq!(taken, 6);
        assert_eq!(rate.take(None, start), Err(Duration::from_secs(10)));
        let later = start + Duration::from_secs(25);
        assert_eq!((0..10).filter(|_| rate.take(None, later).is_ok()).count(), 2);
        // no more than a minute's are saved up
        let much_later = later + Duration::from_secs(3600);
        assert_eq!((0..10).filter(|_| rate.take(None, much_later).is_ok()).count(), 6);
    }

    #[test]
    fn a_client_that_has_none_left_takes_none_of_the_others() {
        let start = Instant::now();
        let mut rate = Rate::new(10, 2, start);
        let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let mut taken = |client, now| (0..20).filter(|_| rate.take(client, now).is_ok()).count();
        assert_eq!(taken(address("10.0.0.1"), start), 2);
        assert_eq!(taken(address("::ffff:10.0.0.1"), start), 0);
        // a network of IPv6 is one client
        assert_eq!(taken(address("2001:db8::1"), start), 2);
        assert_eq!(taken(address("2001:db8::ffff:2"), start), 0);
        assert_eq!(taken(address("2001:db8:0:1::1"), start), 2);
        // whoever is not known shares what is left
        assert_eq!(taken(None, start), 4);
        assert_eq!(taken(address("10.0.0.9"), start), 0);
        assert_eq!(taken(address("10.0.0.1"), start + Duration::from_secs(30)), 1);
        assert_eq!(rate.clients.len(), 3);
        // those that are full again are forgotten
        assert_eq!(rate.take(address("10.0.0.2"), start + Duration::from_secs(200)), Ok(()));
        assert_eq!(rate.clients.len(), 1);
    }

    #[test]
    fn the_last_address_is_what_the_proxy_says() {
        let name = HeaderName::from_static("x-forwarded-for");
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&name, value.parse().unwrap());
            }
            client(&headers, &name).map(|address| address.to_string())
        };
        assert_eq!(with(&["1.1.1.1, 10.0.0.7"]).as_deref(), Some("10.0.0.7"));
        assert_eq!(with(&["1.1.1.1", "10.0.0.7:4711"]).as_deref(), Some("10.0.0.7"));
        assert_eq!(with(&["[2001:db8::1]"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(with(&["[2001:db8::1]:80"]).as_deref(), Some("2001:db8::1"));
        for nothing in [&[][..], &["unknown"], &["1.1.1.1, <script>"], &[""]] {
            assert_eq!(with(nothing), None);
        }
    }
}
