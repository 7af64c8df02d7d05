//! How the provider is asked: bounded in time and size, without redirects, and over nothing that
//! others could listen to.

use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use openidconnect::url::Url;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, http};

use super::settings::is_private;
use crate::outgoing;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer: a set of keys, or the claims of somebody in many groups.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Asks the provider.
#[derive(Default)]
pub(super) struct Http(OnceLock<Result<reqwest::Client, String>>);

/// Why there is no answer, without what was sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(String);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = tokio::time::timeout(TIMEOUT, self.ask(request)).await;
            answer
                .unwrap_or_else(|_| Err(NoAnswer(format!("it did not answer within {}s", TIMEOUT.as_secs()))))
        })
    }
}

impl Http {
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let url = Url::parse(&request.uri().to_string());
        let url = url.map_err(|error| NoAnswer(format!("its address is none: {error}")))?;
        // It names its own addresses; none of them may be one that others can listen to.
        if !is_private(&url) {
            return Err(NoAnswer("one of its addresses is neither https nor on this machine".to_owned()));
        }
        let client = self.0.get_or_init(|| outgoing::client(true)).as_ref();
        let client = client.map_err(|why| NoAnswer(why.clone()))?;
        let request = reqwest::Request::try_from(request);
        let request = request.map_err(|_| NoAnswer("it cannot be asked".to_owned()))?;
        let unanswered = |one: outgoing::Unanswered| NoAnswer(one.why);
        let response = client.execute(request).await;
        let response = response.map_err(|error| unanswered(outgoing::unanswered(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = outgoing::body(response, ANSWER_BYTES_MAX).await.map_err(unanswered)?;
        let mut answer = http::Response::new(body);
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        Ok(answer)
    }
}
