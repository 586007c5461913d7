#include "app/tar_file.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

namespace belay::app {
namespace {

struct Folder {
    std::string path = std::filesystem::temp_directory_path().string() + "/belay-tar-" +
                       std::to_string(::getpid());
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
};

std::string read_whole(TarReader& tar, const TarReader::Member& member) {
    std::string out;
    REQUIRE(tar.read(member,
                     [&out](std::string_view piece) -> Result<void> {
                         out += piece;
                         return {};
                     })
                .ok());
    return out;
}

TEST_CASE("what was added comes out again, whatever its size") {
    const Folder folder;
    const std::string path = folder.path + "/a.tar";
    const std::string large(1'000'001, 'x');
    {
        auto tar = TarWriter::make(path, 1'700'000'000'000);
        REQUIRE(tar.ok());
        for (const std::string& content : {std::string(), std::string(512, 'y'), large}) {
            REQUIRE(tar->add("f" + std::to_string(content.size()), content).ok());
        }
        REQUIRE(tar->finish().ok());
    }
    CHECK_FALSE(TarWriter::make(path, 0).ok());  // nothing is replaced
    auto tar = TarReader::open(path);
    REQUIRE(tar.ok());
    TarReader::Member member;
    for (const size_t size : {size_t{0}, size_t{512}, large.size()}) {
        auto more = tar->next(member);
        REQUIRE((more.ok() && *more));
        CHECK(member.name == "f" + std::to_string(size));
        CHECK(read_whole(*tar, member).size() == size);
    }
    auto end = tar->next(member);
    CHECK((end.ok() && !*end));
}

TEST_CASE("a cut or changed archive is an error, not an end") {
    const Folder folder;
    const std::string path = folder.path + "/a.tar";
    auto made = TarWriter::make(path, 0);
    REQUIRE(made.ok());
    REQUIRE(made->add("name", std::string(2000, 'z')).ok());
    REQUIRE(made->finish().ok());
    const auto read_all = [&path] {
        auto tar = TarReader::open(path);
        TarReader::Member member;
        while (true) {
            auto more = tar->next(member);
            if (!more.ok() || !*more) {
                return more.ok();
            }
            if (!tar->read(member, [](std::string_view) -> Result<void> { return {}; }).ok()) {
                return false;
            }
        }
    };
    CHECK(read_all());
    for (const size_t size : {size_t{100}, size_t{600}, size_t{2600}}) {
        std::filesystem::resize_file(path, size);
        CHECK_FALSE(read_all());
    }
}

TEST_CASE("a hash of pieces is the hash of the whole") {
    Sha256 hash;
    hash.add("ab");
    hash.add("");
    hash.add("c");
    CHECK(hash.finish() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace belay::app
