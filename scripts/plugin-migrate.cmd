@echo off
rem Starts the program in its managed Python environment, which the first run makes: for cmd and PowerShell
rem what scripts/plugin-migrate is for a shell. Both use the same environment.
setlocal DisableDelayedExpansion EnableExtensions

set "scripts=%~dp0"
set "scripts=%scripts:~0,-1%"
if defined PLUGIN_MIGRATE_CACHE (
    set "cache=%PLUGIN_MIGRATE_CACHE%"
) else if defined XDG_CACHE_HOME (
    set "cache=%XDG_CACHE_HOME%\plugin-migrate"
) else if defined HOME (
    set "cache=%HOME%\.cache\plugin-migrate"
) else (
    set "cache=%USERPROFILE%\.cache\plugin-migrate"
)
rem A full path: the program may be started again from another folder.
for %%i in ("%cache%") do set "cache=%%~fi"

set "name="
for /f "usebackq eol=# tokens=1,2 delims==" %%a in ("%scripts%\requirements.txt") do call :pin %%a %%b
set "environment=%cache%\%name:~1%"
call :is_ready && goto start

rem Where it cannot be made there is no sense in looking for a Python.
mkdir "%cache%" 2>nul
if not exist "%cache%\" (
    echo Error: No folder for the Python environment ^(%cache%^): set PLUGIN_MIGRATE_CACHE to one that can be written>&2
    exit /b 1
)
set "before=%NoDefaultCurrentDirectoryInExePath%"
call :find_python || exit /b 1
%python% -I -S "%scripts%\environment.py" "%environment%" "%scripts%" requirements.txt <nul || exit /b 1
set "NoDefaultCurrentDirectoryInExePath=%before%"

:start
rem -I: nothing from the current folder or PYTHON* variables may be imported. -S saves 3 ms.
rem The cache of compiled modules keeps the plugin's folder clean, which may also be read-only.
set "PLUGIN_MIGRATE_CACHE=%cache%"
"%environment%\Scripts\python.exe" -I -S -X utf8 -X "pycache_prefix=%cache%\pycache" "%scripts%\plugin_migrate\__main__.py" %*
exit /b %errorlevel%

:pin
set "name=%name%+%1-%2"
exit /b 0

:is_ready
if not exist "%environment%\ready" exit /b 1
if not exist "%environment%\Scripts\python.exe" exit /b 1
exit /b 0

rem Sets python to the words that start an interpreter which can make the environment. Each is run to find
rem out. Without a Python, WindowsApps holds one that only opens the Store.
:find_python
rem Else cmd takes a py.exe or py.bat of the current folder, which may be one of the project's.
set "NoDefaultCurrentDirectoryInExePath=1"
set "needs=sqlite3, venv, ensurepip"
set "uv="
for %%i in (uv.exe) do set "uv=%%~$PATH:i"
if defined uv set "needs=sqlite3"
set python=py -3
call :try && exit /b 0
for %%d in ("%PATH:;=" "%") do if exist "%%~d\python.exe" call :try_in "%%~d" && exit /b 0
if not defined uv goto none
echo plugin-migrate: asking uv for a Python>&2
for /f "usebackq delims=" %%p in (`"%uv%" python find --no-project --quiet "3.13" 2^>nul ^|^| "%uv%" python install --quiet 3.13 ^&^& "%uv%" python find --no-project --quiet "3.13"`) do set python="%%p"
call :try && exit /b 0
:none
echo Error: No Python 3.11 or later was found: install one from https://www.python.org or uv, then run this again>&2
exit /b 1

:try_in
set "folder=%~1"
if not "%folder:\WindowsApps=%"=="%folder%" exit /b 1
set python="%folder%\python.exe"

:try
%python% -I -S -c "import sys, %needs%; sys.exit(sys.version_info < (3, 11))" <nul >nul 2>nul
exit /b %errorlevel%
