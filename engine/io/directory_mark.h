// DirectoryMark: by which a file tells the directory that it was made in from a copy of it.
//
// Files of Waypost name files of other directories that go with them (save/save_lock.h,
// docs/format.md, "Storage directories").  In a copy, made by cp -a or from a backup, they still
// name the original's, which the copy must leave alone.  A copied directory is a new one, with
// another inode number.
//
// A mark is "DEVICE INODE PATH", the path absolute.  Device numbers alone would not do: they may
// change with each restart (device mapper, NFS), even change places between two disks whose root
// directories have the same inode number.  Nor would paths: the same directory may be mounted
// elsewhere, or have been renamed.  Not used are an id of the file system (statfs's f_fsid is zero
// on NFS and FUSE, a device number on XFS, and the same on a block-level snapshot) and the time of
// birth (not every file system has one).  Where the inode number of one directory changes, as on
// some FUSE file systems, the original is taken for a copy: files may stay, and none is lost.
#pragma once

#include <string>
#include <string_view>

#include "io/file_system.h"

namespace waypost {

// Throws kNotFound when there is no such directory.
std::string DirectoryMark(FileSystem& fs, const std::string& directory);

// Whether `directory` is the one that the mark was made of: it has its inode number, and either
// stands at the path of the mark, or has its device number too while no directory with the mark's
// inode number stands there.  False for a text that is no mark, and for a path that may not be
// looked at.  Throws what else keeps it from looking.
bool HasDirectoryMark(FileSystem& fs, const std::string& directory, std::string_view mark);

}  // namespace waypost
