#include <algorithm>
#include <cstdio>

#include "admin/signin_view.h"

namespace belay::admin {
namespace {

using accounts::AccountView;
using accounts::Phase;

// --- small pieces

std::string heading(std::string_view text) { return "<h1>" + escape_html(text) + "</h1>\n"; }
std::string lead(std::string_view text) {
    return "<p class=\"lead\">" + escape_html(text) + "</p>\n";
}

// A button that JavaScript takes over; without it, a form that does the same.
std::string action(const PanelContext& c, std::string_view route, std::string_view label,
                   std::string_view style, std::string_view takeover = "false") {
    std::string html = "<form method=\"post\" action=\"" + std::string(c.nonce_path) + "/" +
                       std::string(route) + "\">";
    html += "<input type=\"hidden\" name=\"token\" value=\"" + escape_html(c.page_token) + "\">";
    html += "<input type=\"hidden\" name=\"takeover\" value=\"" + std::string(takeover) + "\">";
    html += "<button class=\"" + std::string(style) + "\" data-route=\"" + std::string(route) +
            "\" data-takeover=\"" + std::string(takeover) + "\">" + escape_html(label) +
            "</button></form>\n";
    return html;
}

std::string link_to(std::string_view url, std::string_view label, std::string_view style) {
    return "<a class=\"" + std::string(style) + "\" href=\"" + escape_html(url) +
           "\" target=\"_blank\" rel=\"noopener noreferrer\">" + escape_html(label) + "</a>\n";
}

std::string status_line(std::string_view kind, std::string_view text) {
    return "<p class=\"status " + std::string(kind) + "\"><span class=\"dot\"></span>" +
           escape_html(text) + "</p>\n";
}

std::string host_and_path(std::string_view url) {
    const size_t scheme = url.find("://");
    return std::string(scheme == std::string_view::npos ? url : url.substr(scheme + 3));
}

// --- the states

std::string render_welcome(const PanelContext& c) {
    std::string html =
        heading(c.person.empty() ? "Tie in to GitHub Copilot" : "Connect your Copilot account");
    if (c.person.empty()) {
        html += lead(
            "Sign in once. Every tool on this machine that speaks OpenAI can then use the models "
            "of your Copilot subscription.");
    } else {
        html += "<p class=\"lead\">You are <b>" + escape_html(c.person) +
                "</b> here. Sign in at GitHub once: your keys then use your own Copilot "
                "subscription, and nobody else's keys do.</p>\n";
    }
    if (c.view.problem.id == "unsafe_files") {
        html += "<p class=\"note warn\">" + escape_html(c.view.problem.text) + "</p>\n";
    }
    if (!c.view.device_problem.empty()) {
        html += "<p class=\"note warn\">" + escape_html(c.view.device_problem) + "</p>\n";
    }
    html += "<div class=\"actions\">" + action(c, "start", "Get a sign-in code", "primary") +
            "</div>\n";
    return html;
}

std::string render_asking(const PanelContext& c) {
    std::string html = heading("Asking GitHub for a code");
    html += lead("This takes a moment.");
    html +=
        "<div class=\"code ghost\" "
        "aria-hidden=\"true\"><span>····</span><i></i><span>····</span></div>\n";
    html += c.view.device_offline
                ? status_line("offline", "GitHub cannot be reached. Trying again by itself.")
                : status_line("busy", "Contacting GitHub");
    html += "<div class=\"actions\">" + action(c, "cancel", "Cancel", "quiet") + "</div>\n";
    return html;
}

std::string render_code(std::string_view code) {
    const size_t dash = code.find('-');
    std::string html = "<p class=\"code\" id=\"code\" tabindex=\"-1\" data-code=\"" +
                       escape_html(code) + "\" aria-label=\"Your code\">";
    if (dash == std::string_view::npos) {
        html += "<span>" + escape_html(code) + "</span>";
    } else {
        html += "<span>" + escape_html(code.substr(0, dash)) + "</span><i>-</i><span>" +
                escape_html(code.substr(dash + 1)) + "</span>";
    }
    return html + "</p>\n";
}

std::string render_waiting(const PanelContext& c) {
    const AccountView& v = c.view;
    std::string html = heading("Your code");
    html += lead("Copy it, paste it at GitHub, and confirm. This page notices by itself.");
    html += render_code(v.user_code);
    // A plain link, so that it works without JavaScript; with it, the code is copied on the way.
    html += "<div class=\"actions\"><a class=\"primary\" id=\"authorize\" href=\"" +
            escape_html(v.verification_url) +
            "\" target=\"_blank\" rel=\"noopener noreferrer\">"
            "<span class=\"js-only\">Copy &amp; Authorize</span>"
            "<span class=\"no-js\">Open GitHub</span></a></div>\n";
    html += "<p class=\"hint\" id=\"copied\" role=\"status\"></p>\n";
    if (v.device_offline) {
        html += status_line("offline", "GitHub cannot be reached. Trying again by itself.");
    } else if (v.device_slowed) {
        html += status_line("busy",
                            "Waiting for you. GitHub asked for a slower pace, so it may take "
                            "a few seconds longer to notice.");
    } else {
        html += status_line("busy", "Waiting for you to confirm at GitHub");
    }
    html +=
        "<p class=\"fine\"><span id=\"countdown\">The code works for 15 minutes.</span> Opens "
        "<b>" +
        escape_html(host_and_path(v.verification_url)) +
        "</b>. Enter only a code that you asked for here yourself.</p>\n";
    html += "<div class=\"actions\">" + action(c, "cancel", "Cancel", "quiet") + "</div>\n";
    return html;
}

std::string render_elsewhere(const PanelContext& c) {
    std::string html = heading("A sign-in is under way");
    html += lead(
        "It was begun in another window, which alone can see its code. Finish it there, or begin "
        "again here.");
    html += "<div class=\"actions\">" + action(c, "start", "Begin again here", "primary", "true") +
            "</div>\n";
    return html;
}

std::string render_confirm(const PanelContext& c) {
    const AccountView& v = c.view;
    std::string html = heading("Change accounts?");
    html += "<p class=\"lead\">The sign-in at GitHub is for <b>" + escape_html(v.pending_login) +
            "</b>. So far Belay works for <b>" + escape_html(v.login) + "</b>.</p>\n";
    html += "<div class=\"actions\">" + action(c, "confirm", "Use " + v.pending_login, "primary") +
            action(c, "cancel", "Keep " + v.login, "secondary") + "</div>\n";
    html += "<p class=\"fine\">If you did not sign in just now, keep the present account.</p>\n";
    return html;
}

std::string render_checking(const PanelContext& c) {
    std::string html = heading("Checking the rope");
    html += lead("GitHub has let you in. Fetching your Copilot plan and models.");
    html += c.view.offline ? status_line("offline", "GitHub is slow to answer. Trying again.")
                           : status_line("busy", "Nearly there");
    return html;
}

std::string render_end(const PanelContext& c, std::string_view title, std::string_view text,
                       std::string_view button) {
    std::string html = heading(title);
    html += lead(text);
    html += "<div class=\"actions\">" + action(c, "start", button, "primary") + "</div>\n";
    return html;
}

std::string render_refused(const PanelContext& c) {
    const accounts::Problem& p = c.view.problem;
    std::string html = heading(p.title.empty() ? "Copilot refuses this account" : p.title);
    html += lead(p.text);
    if (!c.view.login.empty()) {
        html +=
            "<p class=\"who\">You are signed in as <b>" + escape_html(c.view.login) + "</b>.</p>\n";
    }
    html += "<div class=\"actions\">";
    if (!p.url.empty()) {
        html += link_to(p.url, "Open GitHub", "primary");
    }
    html += action(c, "start", "Use another account", p.url.empty() ? "primary" : "secondary");
    html += "</div>\n";
    if (!p.id.empty()) {
        html += "<p class=\"fine\">GitHub calls it <code>" + escape_html(p.id) + "</code>.</p>\n";
    }
    return html;
}

std::string render_unreachable(const PanelContext& c) {
    std::string html = heading("GitHub is out of reach");
    html += lead(
        "Your sign-in is kept; only the network or GitHub is not answering. Belay tries again by "
        "itself.");
    html +=
        status_line("offline", c.view.problem.text.empty() ? "No answer yet" : c.view.problem.text);
    return html;
}

// --- ready

std::string quota_label(const accounts::Quota& q) {
    if (q.id == "session") {
        return "5-hour window";
    }
    if (q.id == "weekly") {
        return "This week";
    }
    return q.credits ? "AI credits" : q.id == "chat" ? "Chat" : "Premium requests";
}

std::string render_quota(const accounts::Quota& q) {
    char percent[16];
    std::snprintf(percent, sizeof percent, "%.0f", q.percent_remaining);
    std::string html = "<div class=\"quota\"><div class=\"row\"><b>" + escape_html(quota_label(q)) +
                       "</b><span>" + escape_html(accounts::describe_quota(q)) + "</span></div>";
    if (!q.unlimited && !q.placeholder) {
        html += "<progress max=\"100\" value=\"" + std::string(percent) + "\"" +
                (q.percent_remaining < 10 ? " class=\"low\"" : "") + " aria-label=\"" +
                escape_html(quota_label(q)) + " left\">" + percent + " %</progress>";
    }
    return html + "</div>\n";
}

std::string render_quotas(const AccountView& v) {
    accounts::User user;
    user.quotas = v.quotas;
    std::string html;
    if (const accounts::Quota* main = user.main_quota()) {
        html += render_quota(*main);
    }
    for (const accounts::Quota& q : v.quotas) {
        if (q.id == "session" || q.id == "weekly") {
            html += render_quota(q);
        }
    }
    return html;
}

std::string render_model(const accounts::Model& m) {
    const std::string why = accounts::why_not(m);
    return "<li" + std::string(why.empty() ? "" : " class=\"off\"") + "><code>" +
           escape_html(m.id) + "</code><span>" + escape_html(why.empty() ? m.vendor : why) +
           "</span></li>\n";
}

std::string render_models(const AccountView& v) {
    if (v.catalogue == nullptr) {
        return "<p class=\"fine\">The list of models is being fetched.</p>\n";
    }
    std::vector<const accounts::Model*> models;
    size_t enabled = 0;
    for (const accounts::Model& m : v.catalogue->models) {
        models.push_back(&m);
        enabled += m.enabled();
    }
    std::stable_sort(models.begin(), models.end(), [](const auto* a, const auto* b) {
        return std::pair(!a->enabled(), !a->picker) < std::pair(!b->enabled(), !b->picker);
    });
    constexpr size_t kShown = 6;
    std::string html = "<h2>" + std::to_string(enabled) + (enabled == 1 ? " model" : " models") +
                       " within reach</h2>\n<ul class=\"models\">";
    for (size_t i = 0; i < std::min(models.size(), kShown); ++i) {
        html += render_model(*models[i]);
    }
    html += "</ul>\n";
    if (models.size() > kShown) {
        html += "<details data-keep=\"models\"><summary>Show " +
                std::to_string(models.size() - kShown) + " more</summary><ul class=\"models\">";
        for (size_t i = kShown; i < models.size(); ++i) {
            html += render_model(*models[i]);
        }
        html += "</ul></details>\n";
    }
    return html;
}

std::string render_ready(const PanelContext& c) {
    const AccountView& v = c.view;
    const std::string who = v.login.empty() ? "your account" : v.login;
    std::string html = heading("On belay");
    html += lead(c.person.empty() ? "You are signed in. Nothing else to do here."
                                  : "Your account is connected. Your keys use it from now on.");
    html += "<div class=\"account\"><span class=\"initials\" aria-hidden=\"true\">" +
            escape_html(initials(v.login)) + "</span><div><b>" + escape_html(who) +
            "</b><span>Copilot " + escape_html(v.plan.empty() ? "plan unknown" : v.plan) +
            "</span></div></div>\n";
    if (v.phase == Phase::needs_login || v.offline) {
        html += status_line("offline", v.problem.title + ". The present token still works.");
    }
    if (!v.notice.empty()) {
        html += "<p class=\"note\">" + escape_html(v.notice) + "</p>\n";
    }
    for (const std::string& warning : v.warnings) {
        html += "<p class=\"note warn\">" + escape_html(warning) + "</p>\n";
    }
    html += render_quotas(v);
    if (c.person.empty()) {
        html +=
            "<div class=\"endpoint\"><span>Point any OpenAI client at</span><code "
            "id=\"endpoint\">" +
            escape_html(c.api_url) + "/v1</code><button class=\"copy js-only\" data-copy=\"" +
            escape_html(c.api_url) + "/v1\">Copy</button></div>\n";
    }
    html += render_models(v);
    html += "<div class=\"actions row\">" + action(c, "start", "Use another account", "quiet") +
            (c.person.empty() ? action(c, "signout", "Sign out", "quiet")
                              : action(c, "disconnect", "Disconnect", "quiet")) +
            "</div>\n";
    return html;
}

}  // namespace

std::string render_panel(const PanelContext& c) {
    switch (c.state) {
        case SigninState::welcome:
            return render_welcome(c);
        case SigninState::asking:
            return render_asking(c);
        case SigninState::waiting:
            return render_waiting(c);
        case SigninState::elsewhere:
            return render_elsewhere(c);
        case SigninState::confirm:
            return render_confirm(c);
        case SigninState::checking:
            return render_checking(c);
        case SigninState::ready:
            return render_ready(c);
        case SigninState::expired:
            return render_end(c, "The code has expired",
                              "Codes live for 15 minutes. Nothing is lost: get a fresh one.",
                              "Get a new code");
        case SigninState::denied:
            return render_end(c, "Cancelled at GitHub",
                              "The sign-in was turned down there, so this code is used up. If that "
                              "was you, all is well; if you would like to try again, here is how.",
                              "Get a new code");
        case SigninState::failed:
            return render_end(c, "GitHub said no", c.view.device_problem, "Try again");
        case SigninState::needs_login:
            return render_end(c, "Please sign in again",
                              c.view.problem.text.empty()
                                  ? "GitHub no longer accepts the stored sign-in."
                                  : c.view.problem.text,
                              "Get a sign-in code");
        case SigninState::refused:
            return render_refused(c);
        case SigninState::unreachable:
            return render_unreachable(c);
    }
    return {};
}

}  // namespace belay::admin
