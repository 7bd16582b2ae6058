//! What goes with every call.

use std::time::Duration;

use offramp_proto::{PROTOCOL, PROTOCOL_HEADER};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// How much longer than the worker the coordinator may wait for itself: the worker's own deadline is to come first.
const GRACE: Duration = Duration::from_secs(1);

/// Names the protocol in every call, and the time after which nobody waits for the answer any more: where the connection is cut without a
/// word, the coordinator would otherwise not know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    pub(super) within: Duration,
}

impl Interceptor for Manners {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(PROTOCOL_HEADER, PROTOCOL.into());
        request.set_timeout(self.within + GRACE);
        Ok(request)
    }
}

/// Whether a refusal says that the coordinator speaks another protocol than this build.
pub(super) fn is_of_another_protocol(status: &Status) -> bool {
    let spoken = status.metadata().get(PROTOCOL_HEADER).and_then(|spoken| spoken.to_str().ok()?.parse::<u32>().ok());
    spoken.is_some_and(|spoken| spoken != PROTOCOL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_names_the_protocol_and_its_deadline() {
        let request = Manners { within: Duration::from_secs(30) }.call(Request::new(())).unwrap();
        assert_eq!(request.metadata().get("offramp-protocol").unwrap(), "1");
        assert_eq!(request.metadata().get("grpc-timeout").unwrap(), "31000000u");
    }

    #[test]
    fn another_protocol_is_told_by_its_number() {
        let refusal = |number: &'static str| {
            let mut status = Status::failed_precondition("");
            status.metadata_mut().insert(PROTOCOL_HEADER, number.parse().unwrap());
            is_of_another_protocol(&status)
        };
        assert_eq!([refusal("1"), refusal("2"), refusal("0"), refusal("one")], [false, true, true, false]);
        assert!(!is_of_another_protocol(&Status::failed_precondition("")));
    }
}
