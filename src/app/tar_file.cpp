#include "app/tar_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace belay::app {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kPiece = 256 << 10;
constexpr size_t kNameMax = 100;
constexpr uint64_t kOctalMax = (uint64_t{1} << 33) - 1;

using Block = std::array<char, kBlock>;

Error disk_error(std::string_view what) {
    return gateway_error(Kind::internal, std::string(what) + ": " + std::strerror(errno));
}

void put_octal(Block& block, size_t at, size_t width, uint64_t value) {
    for (size_t i = width - 1; i-- > 0; value /= 8) {
        block[at + i] = static_cast<char>('0' + value % 8);
    }
}

uint64_t read_number(const Block& block, size_t at, size_t width) {
    uint64_t value = 0;
    const auto first = static_cast<unsigned char>(block[at]);
    if ((first & 0x80U) != 0) {
        for (size_t i = 1; i < width; ++i) {
            value = value << 8 | static_cast<unsigned char>(block[at + i]);
        }
        return value;
    }
    for (size_t i = 0; i < width && block[at + i] >= '0' && block[at + i] <= '7'; ++i) {
        value = value * 8 + static_cast<uint64_t>(block[at + i] - '0');
    }
    return value;
}

uint64_t sum_of(const Block& block) {
    uint64_t sum = 0;
    for (size_t i = 0; i < block.size(); ++i) {
        sum += i >= 148 && i < 156 ? uint64_t{' '} : static_cast<unsigned char>(block[i]);
    }
    return sum;
}

Error no_archive() {
    return caller_error(Kind::invalid_request, "this is no backup, or it is damaged");
}

}  // namespace

Result<TarWriter> TarWriter::make(const std::string& path, int64_t now_ms) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return disk_error("cannot write " + path);
    }
    return TarWriter(FilePtr(::fdopen(fd, "wb")), now_ms);
}

Result<void> TarWriter::write(std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) {
        return disk_error("the backup cannot be written");
    }
    return {};
}

Result<void> TarWriter::head(std::string_view name, uint64_t size) {
    if (name.size() > kNameMax) {
        return gateway_error(Kind::internal, "a name is too long for a backup: " +
                                                 std::string(name.substr(0, kNameMax)));
    }
    Block block{};
    std::copy(name.begin(), name.end(), block.begin());
    put_octal(block, 100, 8, 0600);
    put_octal(block, 108, 8, 0);
    put_octal(block, 116, 8, 0);
    if (size <= kOctalMax) {
        put_octal(block, 124, 12, size);
    } else {
        block[124] = static_cast<char>(0x80);
        for (size_t i = 0; i < 8; ++i) {
            block[135 - i] = static_cast<char>(size >> (8 * i) & 0xFFU);
        }
    }
    put_octal(block, 136, 12, static_cast<uint64_t>(now_ms_ / 1000));
    block[156] = '0';
    std::memcpy(&block[257], "ustar\00000", 8);
    put_octal(block, 148, 7, sum_of(block));
    block[155] = ' ';
    return write({block.data(), block.size()});
}

Result<void> TarWriter::pad(uint64_t size) {
    const Block zeros{};
    return write({zeros.data(), (kBlock - size % kBlock) % kBlock});
}

Result<void> TarWriter::add(std::string_view name, std::string_view content) {
    TRY(head(name, content.size()));
    TRY(write(content));
    return pad(content.size());
}

Result<void> TarWriter::add_file(std::string_view name, const std::string& path, uint64_t size) {
    FilePtr from(std::fopen(path.c_str(), "rbe"));
    if (from == nullptr) {
        return disk_error("cannot read " + path);
    }
    TRY(head(name, size));
    std::string piece(kPiece, '\0');
    uint64_t left = size;
    while (left != 0) {
        const size_t wanted = std::min<uint64_t>(left, piece.size());
        const size_t got = std::fread(piece.data(), 1, wanted, from.get());
        if (got == 0) {
            return gateway_error(Kind::internal, path + " became shorter while it was read");
        }
        TRY(write(std::string_view(piece).substr(0, got)));
        left -= got;
    }
    return pad(size);
}

Result<void> TarWriter::finish() {
    const Block zeros{};
    for (int i = 0; i < 2; ++i) {
        TRY(write({zeros.data(), zeros.size()}));
    }
    if (std::fflush(file_.get()) != 0 || ::fsync(::fileno(file_.get())) != 0) {
        return disk_error("the backup cannot be written");
    }
    return {};
}

Result<TarReader> TarReader::open(const std::string& path) {
    FilePtr file(std::fopen(path.c_str(), "rbe"));
    if (file == nullptr) {
        return caller_error(Kind::not_found, "cannot read " + path + ": " + std::strerror(errno));
    }
    return TarReader(std::move(file));
}

Result<bool> TarReader::next(Member& member) {
    Block block;
    if (std::fread(block.data(), 1, block.size(), file_.get()) != block.size()) {
        return no_archive();  // an archive ends with empty blocks
    }
    if (std::all_of(block.begin(), block.end(), [](char c) { return c == 0; })) {
        return false;
    }
    if (read_number(block, 148, 8) != sum_of(block) || (block[156] != '0' && block[156] != 0)) {
        return no_archive();
    }
    member.name.assign(block.data(), ::strnlen(block.data(), kNameMax));
    member.size = read_number(block, 124, 12);
    return true;
}

Result<void> TarReader::read(const Member& member,
                             const std::function<Result<void>(std::string_view)>& take) {
    std::string piece(kPiece, '\0');
    uint64_t left = member.size;
    while (left != 0) {
        const size_t wanted = std::min<uint64_t>(left, piece.size());
        if (std::fread(piece.data(), 1, wanted, file_.get()) != wanted) {
            return no_archive();
        }
        TRY(take(std::string_view(piece).substr(0, wanted)));
        left -= wanted;
    }
    const size_t rest = (kBlock - member.size % kBlock) % kBlock;
    if (std::fread(piece.data(), 1, rest, file_.get()) != rest) {
        return no_archive();
    }
    return {};
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr);
}
Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }
void Sha256::add(std::string_view bytes) {
    EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size());
}
std::string Sha256::finish() {
    std::array<unsigned char, 32> raw{};
    EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), raw.data(), nullptr);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (const unsigned char byte : raw) {
        out += kDigits[byte >> 4U];
        out += kDigits[byte & 15U];
    }
    return out;
}

Result<std::string> sha256_of_file(const std::string& path, uint64_t& size) {
    FilePtr file(std::fopen(path.c_str(), "rbe"));
    if (file == nullptr) {
        return disk_error("cannot read " + path);
    }
    Sha256 hash;
    std::string piece(kPiece, '\0');
    size = 0;
    while (const size_t got = std::fread(piece.data(), 1, piece.size(), file.get())) {
        hash.add(std::string_view(piece).substr(0, got));
        size += got;
    }
    if (std::ferror(file.get()) != 0) {
        return disk_error("cannot read " + path);
    }
    return hash.finish();
}

}  // namespace belay::app
