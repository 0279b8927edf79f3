"""thunderbird: drives Mozilla Thunderbird through its Marionette port, without a screen.

It makes a profile with one POP3 account, stores the password as the program itself does, asks for
new mail, and waits until it says that it is done. Marionette speaks JSON in netstrings:
[0, id, command, parameters] and [1, id, error, result].
"""

import json
import os
import shutil
import socket
import subprocess
import time

PATIENCE = 90  # seconds for each step

PREFERENCES = """
user_pref("mail.accountmanager.accounts", "account1,account2");
user_pref("mail.accountmanager.defaultaccount", "account1");
user_pref("mail.accountmanager.localfoldersserver", "server2");
user_pref("mail.account.account1.identities", "id1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.account.account2.server", "server2");
user_pref("mail.identity.id1.useremail", "user@example.org");
user_pref("mail.identity.id1.fullName", "user");
user_pref("mail.identity.id1.valid", true);
user_pref("mail.server.server1.type", "pop3");
user_pref("mail.server.server1.hostname", "127.0.0.1");
user_pref("mail.server.server1.port", %(port)d);
user_pref("mail.server.server1.userName", "%(user)s");
user_pref("mail.server.server1.name", "user");
user_pref("mail.server.server1.authMethod", 3);
user_pref("mail.server.server1.socketType", 0);
user_pref("mail.server.server1.leave_on_server", false);
user_pref("mail.server.server1.delete_mail_left_on_server", false);
user_pref("mail.server.server1.login_at_startup", false);
user_pref("mail.server.server1.check_new_mail", false);
user_pref("mail.server.server1.deferred_to_account", "");
user_pref("mail.server.server2.type", "none");
user_pref("mail.server.server2.hostname", "Local Folders");
user_pref("mail.server.server2.userName", "nobody");
user_pref("mail.server.server2.name", "Local Folders");
user_pref("mail.root.none", "%(folder)s/Local");
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("mail.rights.version", 1);
user_pref("mail.spotlight.firstRunDone", true);
user_pref("mail.winsearch.firstRunDone", true);
user_pref("app.donation.eoy.version.viewed", 999);
user_pref("app.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("datareporting.healthreport.uploadEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("mail.shell.checkDefaultClient", false);
user_pref("mailnews.start_page.enabled", false);
user_pref("marionette.port", %(marionette)d);
"""

# What the program does for "Get Messages", and the word by which it says that it has done so.
GET_MAIL = """
let [user, secret, done] = arguments;
(async () => {
  let login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init("mailbox://127.0.0.1", null, "mailbox://127.0.0.1", user, secret, "", "");
  await Services.logins.addLoginAsync(login);
  let { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  let server = MailServices.accounts.accounts.map(a => a.incomingServer).find(s => s.type == "pop3");
  let inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
  await new Promise((resolve, reject) => {
    MailServices.pop3.GetNewMail(null, {
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl(url, status) { status ? reject(new Error("status " + status)) : resolve(); },
    }, inbox, server);
  });
  return inbox.getTotalMessages(false);
})().then(count => done({ count }), problem => done({ problem: String(problem) }));
"""


class Marionette:
    def __init__(self, port):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
                break
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        self.reader = self.socket.makefile("rb")
        self.count = 0
        self.receive()  # who it is
        self.ask("WebDriver:NewSession", {})

    def receive(self):
        length = b""
        while not length.endswith(b":"):
            length += self.reader.read(1)
        return json.loads(self.reader.read(int(length[:-1])))

    def ask(self, command, parameters):
        self.count += 1
        text = json.dumps([0, self.count, command, parameters]).encode()
        self.socket.sendall(b"%d:" % len(text) + text)
        _, _, error, result = self.receive()
        if error:
            raise AssertionError("thunderbird: %s: %s" % (command, error))
        return result


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def fetch(folder, port, user, secret):
    """Retrieves the account's mail from a plain POP3 port and removes it there; how many messages."""
    profile, marionette = os.path.join(folder, "profile"), free_port()
    os.makedirs(profile)
    with open(os.path.join(profile, "user.js"), "w", encoding="utf-8") as stream:
        stream.write(PREFERENCES % {"port": port, "user": user, "folder": profile,
                                    "marionette": marionette})
    program = subprocess.Popen(
        ["thunderbird", "--headless", "--no-remote", "--profile", profile, "--marionette",
         "--remote-allow-system-access"],
        env={"HOME": folder, "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
             "MOZ_DISABLE_CONTENT_SANDBOX": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        driver = Marionette(marionette)
        driver.ask("WebDriver:SetTimeouts", {"script": PATIENCE * 1000})
        driver.ask("Marionette:SetContext", {"value": "chrome"})
        answer = driver.ask("WebDriver:ExecuteAsyncScript",
                            {"script": GET_MAIL, "args": [user, secret], "newSandbox": True})
        value = answer.get("value") or {}
        if "count" not in value:
            raise AssertionError("thunderbird: %r" % answer)
        return value["count"]
    finally:
        program.terminate()
        try:
            program.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
        shutil.rmtree(profile, ignore_errors=True)
