//! A reverse proxy before Keycloak that fails as a test tells it to: how faults are made, without a mock.
//!
//! 1. A rule is a pattern over `METHOD /path` or `METHOD /path?query`, in which `*` stands for anything:
//!    `GET */users/*`.
//! 2. The first rule that fits a request decides its [`Fault`]; without one it passes.
//! 3. One request a connection: what is cut is this request and no other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::service;

/// Far longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing: as without a rule.
    Pass,
    /// It does not reach Keycloak until it is released; never, when its sender goes away.
    HoldRequest,
    /// Keycloak carries it out; the answer is kept until it is released.
    HoldAnswer,
    /// It reaches Keycloak this much later.
    Delay(Duration),
    /// It does not reach Keycloak; this status and body are answered.
    Answer(u16, String),
    /// It does not reach Keycloak; something is answered that is not HTTP.
    Garbage,
    /// It does not reach Keycloak; the connection ends.
    CutRequest,
    /// Keycloak carries it out; the connection ends without an answer.
    CutAnswer,
    /// Keycloak carries it out; the connection ends in the middle of the answer's body.
    CutHalfWay,
}

impl Fault {
    pub fn status(status: u16) -> Self {
        Self::Answer(status, String::new())
    }
}

/// Which of the requests that have the pattern, counted from 1.
#[derive(Clone, Copy, Debug)]
enum Which {
    From(usize),
    Only(usize),
}

/// A rule that was set. It holds until [`FaultProxy::clear`], also when this is dropped.
#[derive(Clone)]
pub struct Rule {
    pattern: String,
    fault: Fault,
    which: Which,
    hits: watch::Sender<usize>,
    held: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

impl Rule {
    fn new(pattern: &str, which: Which, fault: Fault) -> Self {
        Self {
            pattern: pattern.to_owned(),
            fault,
            which,
            hits: watch::Sender::new(0),
            held: watch::Sender::new(0),
            released: watch::Sender::new(false),
        }
    }

    /// Waits until a request, or its answer, is held.
    pub async fn wait_until_held(&self) {
        let mut held = self.held.subscribe();
        timeout(PATIENCE, held.wait_for(|held| *held > 0))
            .await
            .unwrap_or_else(|_| panic!("nothing came to be held by `{}`", self.pattern))
            .unwrap();
    }

    /// Lets go of what is held, and holds nothing more.
    pub fn release(&self) {
        self.released.send_replace(true);
    }

    /// How many requests had the pattern.
    pub fn hits(&self) -> usize {
        *self.hits.borrow()
    }

    /// Waits until this many requests had the pattern.
    pub async fn wait_for_hits(&self, count: usize) {
        let mut hits = self.hits.subscribe();
        timeout(PATIENCE, hits.wait_for(|hits| *hits >= count))
            .await
            .unwrap_or_else(|_| panic!("`{}` came {} times", self.pattern, self.hits()))
            .unwrap();
    }

    /// Whether the fault is for this request.
    fn decides(&self, request: &Request) -> bool {
        if ![&request.line, &request.whole].iter().any(|text| matches(&self.pattern, text)) {
            return false;
        }
        let mut number = 0;
        self.hits.send_modify(|hits| {
            *hits += 1;
            number = *hits;
        });
        match self.which {
            Which::From(first) => first <= number,
            Which::Only(only) => only == number,
        }
    }

    async fn hold(&self) {
        self.held.send_modify(|held| *held += 1);
        let mut released = self.released.subscribe();
        // The sender lives as long as this rule.
        let _ = released.wait_for(|released| *released).await;
    }
}

/// Whether the text has the pattern, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            after.is_empty()
                || rest.char_indices().any(|(at, _)| matches(after, &rest[at..]))
                || matches(after, "")
        }),
    }
}

struct Shared {
    /// Host and port of what is behind.
    target: String,
    rules: Mutex<Vec<Rule>>,
    passed: Mutex<Vec<String>>,
}

/// The proxy. It ends when it is dropped.
pub struct FaultProxy {
    url: String,
    /// Bound and not listening: keeps the port while the proxy is down, and refuses connections.
    reserved: TcpSocket,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl FaultProxy {
    /// Before the Keycloak of this run.
    pub fn start() -> Self {
        let url = service("HALLPASS_TEST_KEYCLOAK_URL");
        let target = url.strip_prefix("http://").expect("plain HTTP").to_owned();
        let reserved = TcpSocket::new_v4().unwrap();
        reserved.set_reuseport(true).unwrap();
        reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = reserved.local_addr().unwrap();
        let shared = Shared { target, rules: Mutex::default(), passed: Mutex::default() };
        let proxy = Self {
            url: format!("http://{address}"),
            reserved,
            shared: Arc::new(shared),
            accepting: Mutex::default(),
        };
        proxy.up();
        proxy
    }

    /// What `HALLPASS_KEYCLOAK__URL` is set to. The realm's issuer stays what it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Each request of this pattern has this fault.
    pub fn on(&self, pattern: &str, fault: Fault) -> Rule {
        self.add(Rule::new(pattern, Which::From(1), fault))
    }

    /// Only the n-th request of this pattern from now on, counted from 1, has this fault.
    pub fn on_nth(&self, n: usize, pattern: &str, fault: Fault) -> Rule {
        self.add(Rule::new(pattern, Which::Only(n), fault))
    }

    /// The n-th request of this pattern from now on, counted from 1, and all later ones have this fault.
    pub fn on_from(&self, n: usize, pattern: &str, fault: Fault) -> Rule {
        self.add(Rule::new(pattern, Which::From(n), fault))
    }

    fn add(&self, rule: Rule) -> Rule {
        self.shared.rules.lock().unwrap().push(rule.clone());
        rule
    }

    /// Takes all rules back, lets go of what they hold, and forgets what passed.
    pub fn clear(&self) {
        for rule in self.shared.rules.lock().unwrap().drain(..) {
            rule.release();
        }
        self.shared.passed.lock().unwrap().clear();
    }

    /// The requests that reached Keycloak, as `METHOD /path`, in their order.
    pub fn passed(&self) -> Vec<String> {
        let whole = self.passed_whole().into_iter();
        whole.map(|request| request.split('?').next().unwrap_or_default().to_owned()).collect()
    }

    /// The same with their queries.
    pub fn passed_whole(&self) -> Vec<String> {
        self.shared.passed.lock().unwrap().clone()
    }

    /// How many requests of this pattern reached Keycloak.
    pub fn count(&self, pattern: &str) -> usize {
        self.passed().iter().filter(|request| matches(pattern, request)).count()
    }

    /// Cuts all connections and refuses new ones.
    pub async fn down(&self) {
        let accepting = self.accepting.lock().unwrap().take();
        if let Some(task) = accepting {
            task.abort();
            let _ = task.await;
        }
    }

    /// Accepts connections (again).
    pub fn up(&self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind(self.reserved.local_addr().unwrap()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let task = tokio::spawn(accept(listener, self.shared.clone()));
        *self.accepting.lock().unwrap() = Some(task);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.lock().unwrap().take() {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task: then the connections end too.
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        connections.spawn(serve(connection, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// One request. Whatever fails ends the connection, which is what a sender sees of a fault.
async fn serve(mut sender: TcpStream, shared: Arc<Shared>) {
    let Some(request) = Request::read(&mut sender).await else { return };
    let rule = {
        let rules = shared.rules.lock().unwrap();
        // Every rule counts, also behind the one that decides.
        let deciding: Vec<_> = rules.iter().filter(|rule| rule.decides(&request)).collect();
        deciding.first().map(|rule| (*rule).clone())
    };
    let fault = rule.as_ref().map_or(Fault::Pass, |rule| rule.fault.clone());
    match (&fault, &rule) {
        (Fault::CutRequest, _) => return,
        (Fault::Answer(status, body), _) => return answer(&mut sender, *status, body).await,
        (Fault::Garbage, _) => return write(&mut sender, b"\x16\x03\x01 no HTTP \r\n\r\n").await,
        (Fault::Delay(time), _) => tokio::time::sleep(*time).await,
        (Fault::HoldRequest, Some(rule)) => {
            tokio::select! {
                // Who is gone when it is released has sent nothing.
                biased;
                () = gone(&mut sender) => return,
                () = rule.hold() => {}
            }
        }
        _ => {}
    }
    shared.passed.lock().unwrap().push(request.whole.clone());
    let Ok(answered) = request.forward(&shared.target).await else { return };
    match (&fault, &rule) {
        (Fault::CutAnswer, _) => {}
        (Fault::CutHalfWay, _) => {
            let body = head_length(&answered).unwrap_or_default();
            write(&mut sender, &answered[..body + (answered.len() - body) / 2]).await;
        }
        (Fault::HoldAnswer, Some(rule)) => {
            rule.hold().await;
            write(&mut sender, &answered).await;
        }
        _ => write(&mut sender, &answered).await,
    }
}

/// A sender who went away has no use for an answer.
async fn write(sender: &mut TcpStream, bytes: &[u8]) {
    if sender.write_all(bytes).await.is_ok() {
        let _ = sender.shutdown().await;
    }
}

async fn answer(sender: &mut TcpStream, status: u16, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Fault\r\nContent-Length: {length}\r\n");
    let kind = "Content-Type: application/json\r\nConnection: close\r\n\r\n";
    write(sender, format!("{head}{kind}{body}").as_bytes()).await;
}

/// Waits until the sender closes its end.
async fn gone(sender: &mut TcpStream) {
    let mut byte = [0; 1];
    while sender.read(&mut byte).await.is_ok_and(|read| read > 0) {}
}

struct Request {
    /// `METHOD /path`, without the query.
    line: String,
    /// The same with the query.
    whole: String,
    bytes: Vec<u8>,
    head: usize,
}

impl Request {
    async fn read(sender: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(head) = head_length(&bytes) {
                break head;
            }
            read_some(sender, &mut bytes).await?;
        };
        let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
        let mut words = text.split_ascii_whitespace();
        let (method, target) = (words.next()?, words.next()?);
        let path = target.split('?').next()?;
        assert!(!has_header(&text, "transfer-encoding"), "a request in chunks: {text}");
        let length = header(&text, "content-length").map_or(0, |value| value.parse().unwrap());
        while bytes.len() < head + length {
            read_some(sender, &mut bytes).await?;
        }
        let (line, whole) = (format!("{method} {path}"), format!("{method} {target}"));
        Some(Self { line, whole, bytes, head })
    }

    /// Sends it to the target, as the target's own host, and reads the whole answer.
    async fn forward(&self, target: &str) -> std::io::Result<Vec<u8>> {
        let text = String::from_utf8_lossy(&self.bytes[..self.head]).into_owned();
        let kept = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            !line.is_empty() && name != "host" && name != "connection"
        };
        let mut head: Vec<_> = text.split("\r\n").filter(kept).collect();
        let host = format!("Host: {target}");
        head.extend([host.as_str(), "Connection: close", "", ""]);
        let mut connection = TcpStream::connect(target).await?;
        connection.write_all(head.join("\r\n").as_bytes()).await?;
        connection.write_all(&self.bytes[self.head..]).await?;
        let mut answered = Vec::new();
        connection.read_to_end(&mut answered).await?;
        Ok(answered)
    }
}

async fn read_some(from: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    (from.read_buf(bytes).await.ok()? > 0).then_some(())
}

/// Up to and with the empty line.
fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(found, value)| found.trim().eq_ignore_ascii_case(name).then_some(value.trim()))
}

fn has_header(head: &str, name: &str) -> bool {
    header(head, name).is_some()
}
