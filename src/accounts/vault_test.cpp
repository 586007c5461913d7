#include "accounts/vault.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

using namespace belay;
using namespace belay::accounts;
namespace fs = std::filesystem;

namespace {

// A folder of its own for each case.
struct Folder {
    Folder() {
        char name[] = "/tmp/belay-vault-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { fs::remove_all(path); }
    std::string path;
    [[nodiscard]] std::string in(const std::string& name) const { return path + "/" + name; }
    void put(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        std::ofstream(in(name)) << text;
        chmod(in(name).c_str(), mode);
    }
    [[nodiscard]] std::string get(const std::string& name) const {
        std::ifstream file(in(name));
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    [[nodiscard]] VaultOptions options() const {
        VaultOptions o;
        o.dir = path;
        return o;
    }
};

mode_t mode_of(const std::string& path) {
    struct stat st {};
    REQUIRE(stat(path.c_str(), &st) == 0);
    return st.st_mode & 0777;
}

EnvLookup env_of(std::map<std::string, std::string> values) {
    return [values = std::move(values)](std::string_view name) -> std::optional<std::string> {
        const auto at = values.find(std::string(name));
        return at == values.end() ? std::nullopt : std::optional(at->second);
    };
}

}  // namespace

TEST_CASE("the folder and file names are LiteLLM's, with its variables") {
    const auto usual = read_vault_env(env_of({{"HOME", "/home/me"}, {"XDG_CONFIG_HOME", "/x"}}));
    CHECK(usual->dir == "/home/me/.config/litellm/github_copilot");
    CHECK(usual->access_token_file == "access-token");
    CHECK(usual->api_key_file == "api-key.json");
    const auto moved = read_vault_env(env_of({{"HOME", "/home/me"},
                                              {"GITHUB_COPILOT_TOKEN_DIR", "~/tokens/"},
                                              {"GITHUB_COPILOT_ACCESS_TOKEN_FILE", "a"},
                                              {"GITHUB_COPILOT_API_KEY_FILE", "b"}}));
    CHECK(moved->dir == "/home/me/tokens");
    CHECK(moved->access_token_file == "a");
    CHECK(moved->api_key_file == "b");
    CHECK_FALSE(read_vault_env(env_of({})).ok());
    CHECK_FALSE(read_vault_env(env_of({{"GITHUB_COPILOT_TOKEN_DIR", "relative"}})).ok());
    CHECK_FALSE(
        read_vault_env(env_of({{"HOME", "/h"}, {"GITHUB_COPILOT_API_KEY_FILE", "../x"}})).ok());
}

TEST_CASE("a token by environment: the Copilot variables go first, the general ones come last") {
    Folder folder;
    const auto with = [&](std::map<std::string, std::string> values) {
        values["GITHUB_COPILOT_TOKEN_DIR"] = folder.path;
        Vault vault(read_vault_env(env_of(values)).value());
        return vault.load().value();
    };
    CHECK(with({}).source == Stored::Source::none);
    CHECK(with({{"GITHUB_TOKEN", "gho_general"}}).source_name == "GITHUB_TOKEN");
    CHECK(with({{"GITHUB_TOKEN", "a"}, {"GH_TOKEN", "b"}}).github_token.reveal() == "b");
    folder.put("access-token", "ghu_stored\n");
    CHECK(with({{"GITHUB_TOKEN", "gho_general"}}).github_token.reveal() == "ghu_stored");
    const Stored given = with({{"COPILOT_GITHUB_TOKEN", " ghu_given\n"}});
    CHECK(given.github_token.reveal() == "ghu_given");
    CHECK(given.source == Stored::Source::environment);
    CHECK(with({{"COPILOT_GITHUB_TOKEN", "a"}, {"GITHUB_COPILOT_TOKEN", "b"}}).source_name ==
          "GITHUB_COPILOT_TOKEN");
}

TEST_CASE("what is saved is read back, private and whole, and nothing else is left behind") {
    Folder folder;
    VaultOptions options;
    options.dir = folder.in("made/by/us");
    Vault vault(options);
    CHECK(vault.load()->source == Stored::Source::none);
    REQUIRE(vault.save_github_token(Secret("ghu_1")).ok());
    REQUIRE(vault.save_api_key(R"({"token":"t"})").ok());
    CHECK(mode_of(options.dir) == 0700);
    CHECK(mode_of(options.dir + "/access-token") == 0600);
    CHECK(mode_of(options.dir + "/api-key.json") == 0600);
    const Stored stored = vault.load().value();
    CHECK(stored.github_token.reveal() == "ghu_1");
    CHECK(stored.api_key_json == R"({"token":"t"})");
    CHECK(stored.warnings.empty());
    size_t files = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(options.dir)) {
        ++files;
    }
    CHECK(files == 2);
    // Another sign-in takes the old account's Copilot token away with it.
    REQUIRE(vault.save_github_token(Secret("ghu_2")).ok());
    CHECK(vault.load()->api_key_json.empty());
    REQUIRE(vault.forget().ok());
    CHECK(vault.load()->source == Stored::Source::none);
    CHECK(vault.forget().ok());
}

TEST_CASE("what LiteLLM left is picked up; wide modes are repaired and told") {
    Folder folder;
    chmod(folder.path.c_str(), 0755);
    folder.put("access-token", "ghu_litellm", 0644);
    folder.put("api-key.json", R"({"token":"t"})", 0664);
    Vault vault(folder.options());
    const Stored stored = vault.load().value();
    CHECK(stored.github_token.reveal() == "ghu_litellm");
    CHECK(stored.warnings.size() == 3);
    CHECK(mode_of(folder.path) == 0700);
    CHECK(mode_of(folder.in("access-token")) == 0600);
    CHECK(vault.load()->warnings.empty());
}

TEST_CASE(
    "links, folders, devices and giants in the place of a file are refused, naming the cure") {
    struct Case {
        const char* says;
        std::function<void(const Folder&)> make;
    } cases[] = {
        {"symbolic link",
         [](const Folder& f) {
             f.put("elsewhere", "ghu_x");
             REQUIRE(symlink(f.in("elsewhere").c_str(), f.in("access-token").c_str()) == 0);
         }},
        {"regular file", [](const Folder& f) { fs::create_directory(f.in("access-token")); }},
        {"regular file",
         [](const Folder& f) { REQUIRE(mkfifo(f.in("access-token").c_str(), 0600) == 0); }},
        {"too long", [](const Folder& f) { f.put("access-token", std::string(100'000, 'x')); }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.says);
        Folder folder;
        c.make(folder);
        Vault vault(folder.options());
        const auto stored = vault.load();
        REQUIRE_FALSE(stored.ok());
        CHECK(stored.error().message.find(c.says) != std::string::npos);
        CHECK(stored.error().message.find("access-token") != std::string::npos);
    }
}

TEST_CASE("a file of another owner is refused") {
    if (geteuid() != 0) {
        return;  // only root can make one
    }
    Folder folder;
    folder.put("access-token", "ghu_x");
    REQUIRE(chown(folder.in("access-token").c_str(), 12345, 12345) == 0);
    Vault vault(folder.options());
    CHECK(vault.load().error().message.find("another user") != std::string::npos);
    REQUIRE(chown(folder.path.c_str(), 12345, 12345) == 0);
    CHECK(vault.load().error().message.find("another user") != std::string::npos);
    CHECK_FALSE(vault.save_github_token(Secret("ghu_y")).ok());
}

TEST_CASE("a save replaces a planted link instead of writing through it") {
    Folder folder;
    folder.put("victim", "precious");
    REQUIRE(symlink(folder.in("victim").c_str(), folder.in("access-token").c_str()) == 0);
    Vault vault(folder.options());
    REQUIRE(vault.save_github_token(Secret("ghu_new")).ok());
    CHECK(folder.get("victim") == "precious");
    CHECK(vault.load()->github_token.reveal() == "ghu_new");
}

TEST_CASE("changes of others are noticed, our own are not") {
    Folder folder;
    Vault vault(folder.options());
    (void)vault.load();
    CHECK_FALSE(vault.changed_outside());
    REQUIRE(vault.save_github_token(Secret("ghu_1")).ok());
    REQUIRE(vault.save_api_key("{}").ok());
    CHECK_FALSE(vault.changed_outside());
    folder.put("access-token", "ghu_somebody");
    CHECK(vault.changed_outside());
    CHECK(vault.load()->github_token.reveal() == "ghu_somebody");
    CHECK_FALSE(vault.changed_outside());
    fs::remove(folder.in("access-token"));
    CHECK(vault.changed_outside());
}

TEST_CASE("a folder that cannot be written says so and leaves what was there") {
    Folder folder;
    folder.put("file", "x");
    VaultOptions options;
    options.dir = folder.in("file");
    Vault vault(options);
    CHECK(vault.load().error().message.find("not a folder") != std::string::npos);
    CHECK_FALSE(vault.save_github_token(Secret("ghu_x")).ok());
    options.dir = folder.in("file/below");
    Vault below(options);
    CHECK(below.load()->source == Stored::Source::none);
    CHECK_FALSE(below.save_github_token(Secret("ghu_x")).ok());
}
